"""What tenure costs while nothing happens."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.cost import cost, resident_mb
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import Workers, fleet, ready, started

if TYPE_CHECKING:
    from bench.space import Space

_SETTLED_AFTER: Final = 1.0
# Timed inside the new interpreter, so that its own start is left out.
_TIMED_IMPORT: Final = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """CPU while workers wait for work, in percent of one core, and the memory of a worker process."""

    workers: int
    processes: int
    window_seconds: float
    postgres_percent: float | None
    redis_percent: float | None
    workers_percent: float
    resident_mb: float


async def idle(space: Space, processes: int, window: float) -> Idle:
    """Worker processes as users start them."""
    with fleet(space, processes, 10) as workers:
        return await _watch(space, workers, 1, window)


async def idle_crew(space: Space, processes: int, each: int, window: float) -> Idle:
    """Many workers in few processes, to see what a large fleet costs the stores."""
    with started(space, ["bench.crew", space.queue, str(each)], processes) as workers:
        return await _watch(space, workers, each, window)


async def _watch(space: Space, workers: Workers, each: int, window: float) -> Idle:
    await ready(space, workers, each)
    await asyncio.sleep(min(_SETTLED_AFTER, window))
    pids = [worker.pid for worker in workers]
    earlier = cost(space.servers, pids)
    await asyncio.sleep(window)
    used = cost(space.servers, pids) - earlier
    if found := await space.statuses():
        raise NotAsPromised(f"jobs that an idle fleet has made: {found}")
    return Idle(
        workers=len(workers) * each,
        processes=len(workers),
        window_seconds=window,
        postgres_percent=_percent(used.postgres, window),
        redis_percent=_percent(used.redis, window),
        workers_percent=round(used.workers / window * 100, 2),
        resident_mb=round(statistics.median(resident_mb(pid) for pid in pids), 1),
    )


def _percent(seconds: float | None, window: float) -> float | None:
    return None if seconds is None else round(seconds / window * 100, 2)


def import_ms(module: str = "tenure", rounds: int = 7) -> float:
    """Milliseconds that importing takes in a new interpreter, files cached: the median."""
    command = [sys.executable, "-c", _TIMED_IMPORT.format(module=module)]
    taken = [float(subprocess.check_output(command)) for _ in range(rounds)]
    return round(statistics.median(taken) * 1000, 1)
