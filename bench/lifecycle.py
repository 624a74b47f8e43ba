"""Stress: many jobs over many slots, a tenth of which fail once and come back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.handlers import RETRIED
from tenure.bench import sink
from tenure.bench.fleet import fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Lived:
    """From the call that enqueues the first job to the last one's commit as COMPLETED."""

    name: str
    jobs: int
    processes: int
    slots: int
    retries: int
    seconds: float
    per_second: float


async def lifecycle(space: Space, name: str, jobs: int, processes: int, slots_each: int) -> Lived:
    """Enqueue, run, retry and settle `jobs` on a fleet that is up."""
    retried = len(range(0, jobs, RETRIED))
    with fleet(space, processes, slots_each, "bench.handlers:app") as workers:
        await ready(space, workers)
        began = time.time()
        async with space.producer() as app:
            shaky = app.job_types["shaky"]
            for first in range(0, jobs, _BATCH):
                numbers = range(first, min(first + _BATCH, jobs))
                await app.enqueue_many([shaky.request(**arguments(number, began)) for number in numbers])
            await space.all_completed(jobs)
    marks = sink.marks(space.sink)
    sink.check_runs(marks, [*range(jobs), *range(0, jobs, RETRIED)])
    assert await space.executions() == {"COMPLETED": jobs, "FAILED": retried}, "one audit row per attempt"
    took = await space.last_completed() - began
    return Lived(name, jobs, processes, processes * slots_each, retried, round(took, 3), round(jobs / took, 1))
