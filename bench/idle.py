"""What tenure costs while nothing happens."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.cost import cost, resident_mb
from tenure.bench.fleet import fleet, ready

if TYPE_CHECKING:
    from bench.space import Space

_CONCURRENCY: Final = 10
_SETTLED_AFTER: Final = 1.0
# Timed inside the new interpreter, so that its own start is left out.
_TIMED_IMPORT: Final = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


@dataclass(frozen=True, slots=True)
class Idle:
    """CPU seconds per minute while worker processes wait for work, and the memory of one of them."""

    processes: int
    window_seconds: float
    postgres_per_minute: float | None
    redis_per_minute: float | None
    workers_per_minute: float
    resident_mb: float


async def idle(space: Space, processes: int, window: float) -> Idle:
    """Start worker processes that have nothing to do and look at the bill."""
    with fleet(space, processes, _CONCURRENCY) as workers:
        await ready(space, workers)
        await asyncio.sleep(min(_SETTLED_AFTER, window))
        pids = [worker.pid for worker in workers]
        earlier = cost(space.servers, pids)
        await asyncio.sleep(window)
        used = cost(space.servers, pids) - earlier
        resident = statistics.median(resident_mb(pid) for pid in pids)
    assert await space.statuses() == {}, "an idle fleet must not make jobs"
    scale = 60.0 / window
    return Idle(
        processes=processes,
        window_seconds=window,
        postgres_per_minute=None if used.postgres is None else round(used.postgres * scale, 3),
        redis_per_minute=None if used.redis is None else round(used.redis * scale, 3),
        workers_per_minute=round(used.workers * scale, 3),
        resident_mb=round(resident, 1),
    )


def import_ms(module: str = "tenure", rounds: int = 7) -> float:
    """Milliseconds that importing takes in a new interpreter, files cached: the median."""
    command = [sys.executable, "-c", _TIMED_IMPORT.format(module=module)]
    taken = [float(subprocess.check_output(command)) for _ in range(rounds)]
    return round(statistics.median(taken) * 1000, 1)
