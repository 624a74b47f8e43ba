"""What a run was measured on; figures without it mean nothing."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil

from tenure._engine import Engine, debug_build, new_ids

if TYPE_CHECKING:
    from bench.servers import Servers


async def machine(servers: Servers) -> dict[str, str]:
    """Machine and versions, as printed above every run and kept beside its figures."""
    postgres = await asyncpg.connect(servers.postgres_url)
    try:
        postgres_version = await postgres.fetchval("SELECT current_setting('server_version')")
    finally:
        await postgres.close()
    engine = Engine(servers.redis_url, worker_id=new_ids(1)[0], prefix="bench", lease_ms=30_000, on_event=_ignore)
    redis = await engine.open()
    engine.close()
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        # What others did just before: figures of a busy machine are those of its rest.
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "tenure": version("tenure") + (" (debug build of the extension)" if debug_build else ""),
        "postgresql": f"{postgres_version}, fsync on, synchronous_commit on",
        "redis": f"{redis.product} {redis.version}, appendonly {'yes' if redis.appendonly else 'no'}",
        **{name: version(name) for name in ("asyncpg", "msgspec", "uvloop")},
    }


def sync_us(rounds: int = 200) -> float:
    """Microseconds of a small write that is synced, the median: no commit is cheaper."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(rounds):
            began = time.perf_counter()
            file.write(b"x" * 512)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1e6)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _ignore(_event: object) -> None:
    """No event matters here."""
