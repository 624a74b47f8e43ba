"""Stress: many jobs over many workers, a tenth of which fail once and come back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.handlers import RETRIED
from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import ready, started
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    """From the call that enqueues the first job to the last one's commit as COMPLETED.

    Attributes:
        workers: of one slot each; several share a process, which the table states.
        seed: what the document that the system was asked for in expected.
    """

    name: str
    jobs: int
    workers: int
    processes: int
    retries: int
    seconds: float
    per_second: float
    seed: str = "200-500/s"


async def stress(space: Space, name: str, jobs: int, processes: int, each: int) -> Stressed:
    """Enqueue, run, retry and settle `jobs` on workers that are up."""
    retried = len(range(0, jobs, RETRIED))
    with started(space, ["bench.crew", space.queue, str(each)], processes) as workers:
        await ready(space, workers, each)
        began = time.time()
        async with space.producer() as app:
            shaky = app.job_types["shaky"]
            for first in range(0, jobs, _BATCH):
                numbers = range(first, min(first + _BATCH, jobs))
                await app.enqueue_many([shaky.request(**arguments(number, began)) for number in numbers])
            await space.all_completed(jobs)
    marks = sink.marks(space.sink)
    sink.check_runs(marks, [*range(jobs), *range(0, jobs, RETRIED)])
    if (found := await space.executions()) != {"COMPLETED": jobs, "FAILED": retried}:
        raise NotAsPromised(f"attempts of which {retried} should have failed: {found}")
    took = await space.last_completed() - began
    return Stressed(
        name=f"{name}, {jobs:,} jobs, {processes * each} workers",
        jobs=jobs,
        workers=processes * each,
        processes=processes,
        retries=retried,
        seconds=round(took, 3),
        per_second=round(jobs / took, 1),
    )
