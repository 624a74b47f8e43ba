"""How fast worker processes empty a queue."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import check, fleet, log_tail
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.bench.fleet import Workers
    from tenure.bench.stage import Stage

_BATCH: Final = 1000
_FIRST_WITHIN: Final = 60.0


class Meter(Protocol):
    """Looks at what the work costs, from a moment when the workers are up to the last commit."""

    def start(self, workers: Sequence[int]) -> None:
        """The worker processes, by their ids, are at work."""

    def stop(self, jobs: int) -> dict[str, float | None]:
        """They have done so many jobs since; figures of each."""


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """One drain.

    Attributes:
        per_second: jobs from the first to the last start of a handler.
        settle_lag_ms: from the last start until the last commit was seen; looked for every few milliseconds.
        cpu: what the meter found, empty without one.
    """

    mode: str
    processes: int
    concurrency: int
    jobs: int
    per_second: float
    settle_lag_ms: float
    cpu: dict[str, float | None] = {}


async def preload(stage: Stage, mode: str, jobs: int) -> None:
    """Fill the queue while nobody works."""
    async with stage.producer() as app:
        job_type = app.job_types[mode]
        for first in range(0, jobs, _BATCH):
            numbers = range(first, min(first + _BATCH, jobs))
            await app.enqueue_many([job_type.request(**arguments(number)) for number in numbers])
    await stage.prepared()


async def drain(
    stage: Stage, mode: str, jobs: int, processes: int, concurrency: int, meter: Meter | None = None
) -> Drained:
    """Preload, start the workers, and measure until PostgreSQL has the last job as completed."""
    await preload(stage, mode, jobs)
    return await empty(stage, mode, jobs, processes, concurrency, meter)


async def empty(
    stage: Stage, mode: str, jobs: int, processes: int, concurrency: int, meter: Meter | None = None
) -> Drained:
    """Likewise, of a queue that is filled: its jobs have the numbers from 0 on."""
    with fleet(stage, processes, concurrency) as workers:
        await _first_start(stage, workers)
        # Start-up is not part of a job's cost; the few jobs done before this line are.
        done_before = sink.count(stage.sink)
        if meter is not None:
            meter.start([worker.pid for worker in workers])
        while sink.count(stage.sink) < jobs:
            check(stage, workers)
            await asyncio.sleep(0.005)
        committed = await stage.committed()
        found = {} if meter is None else meter.stop(jobs - done_before)
    await stage.all_completed(jobs)
    marks = sink.marks(stage.sink)
    sink.check_runs(marks, range(jobs))
    if (attempts := await stage.executions()) != {"COMPLETED": jobs}:
        raise NotAsPromised(f"attempts that should all be completed, one of each of {jobs} jobs: {attempts}")
    last = marks[-1].started
    return Drained(
        mode=mode,
        processes=processes,
        concurrency=concurrency,
        jobs=jobs,
        per_second=round((jobs - 1) / max(last - marks[0].started, 1e-6), 1),
        settle_lag_ms=round((committed - last) * 1000, 1),
        cpu=found,
    )


async def _first_start(stage: Stage, workers: Workers) -> None:
    give_up = time.monotonic() + _FIRST_WITHIN
    while sink.count(stage.sink) == 0:
        check(stage, workers)
        if time.monotonic() > give_up:
            raise NotAsPromised(f"no handler has started, the last the workers said: {log_tail(stage)}")
        await asyncio.sleep(0.005)
