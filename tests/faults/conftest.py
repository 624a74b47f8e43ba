"""Servers that may be broken: a PostgreSQL for this directory, a Valkey or Redis for each test, a stage on both."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.namespaces import Namespace
from tests.faults.stage import Stage
from tests.servers import VALKEY, Postgres, Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tenure import Settings


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[..., None]:
    """States a figure, in seconds unless said otherwise, at the end of the run."""
    figures = request.config.stash.setdefault(_FIGURES, [])
    return lambda what, value, unit="s": figures.append(f"{what}: {value:.2f} {unit}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    if figures := config.stash.get(_FIGURES, []):
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def fault_postgres(server_directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL for the tests that leave it alive."""
    server = Postgres(server_directory / "pf")
    server.start()
    yield server
    server.stop("fast")


@pytest.fixture(scope="session")
def postgres_url(fault_postgres: Postgres) -> str:
    """Not the session's: a proxy needs to know the socket."""
    return fault_postgres.url


def redis_program(name: str) -> str:
    """The server of that name, or skip."""
    if name == "valkey":
        return VALKEY
    program = os.environ.get("TENURE_TEST_REDIS7") or shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here: install it, or set TENURE_TEST_REDIS7 to one of version 7.0")
    return program


@pytest.fixture
def redis_server(request: pytest.FixtureRequest, server_directory: Path) -> Iterator[Valkey]:
    """A server of the test's own; by indirect parameter `valkey` (the default) or `redis`."""
    program = redis_program(getattr(request, "param", "valkey"))
    server = Valkey(server_directory / f"v{uuid.uuid4().hex[:6]}", "--appendfsync", "everysec", program=program)
    server.start()
    yield server
    server.kill()
    server.forget()


@pytest.fixture
def redis_url(redis_server: Valkey) -> str:
    """The test's own server."""
    return redis_server.url


@pytest.fixture
def prefix() -> str:
    """The server is the test's own, and so are its keys."""
    return "gap006"


@pytest.fixture
def statement_cache() -> int:
    """Prepared statements; a module that watches what is sent has none."""
    return 200


@pytest.fixture
async def stage(
    settings: Settings, statement_cache: int, fault_postgres: Postgres, redis_server: Valkey, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Proxies before both stores, a client, a ledger; worker processes as the test wants them."""
    async with Stage(
        replace(settings, statement_cache=statement_cache), fault_postgres, redis_server, tmp_path
    ) as stage:
        yield stage


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace, or a skip where none may be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and iproute2")
    number = os.getpid() % 250
    made = Namespace(f"tn{os.getpid()}", f"10.231.{number}.1", f"10.231.{number}.2")
    try:
        made.up()
    except subprocess.CalledProcessError as error:
        made.down()
        pytest.skip(f"a network namespace is not permitted here: {error.stderr.decode().strip()}")
    yield made
    made.down()
