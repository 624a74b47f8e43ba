"""How fast worker processes empty a queue, and what each job costs whom."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench import sink
from bench.cost import cost
from bench.fleet import fleet, log_tail
from bench.handlers import arguments

if TYPE_CHECKING:
    import subprocess

    from bench.space import Space

_BATCH: Final = 1000
_FIRST_WITHIN: Final = 60.0
_ENOUGH: Final = 5000  # jobs; the system counts CPU in steps of 10 ms


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain.

    Attributes:
        per_second: jobs from the first to the last start of a handler.
        settle_lag_ms: from the last start until the last commit was seen; looked for every few milliseconds.
        cpu: microseconds of CPU per job, empty where too few jobs were left to tell.
    """

    mode: str
    processes: int
    concurrency: int
    jobs: int
    per_second: float
    settle_lag_ms: float
    cpu: dict[str, float | None]

    def row(self) -> dict[str, object]:
        """The figures as they are kept."""
        return asdict(self)


async def preload(space: Space, mode: str, jobs: int) -> None:
    """Fill the queue while nobody works."""
    async with space.producer() as app:
        job_type = app.job_types[mode]
        for first in range(0, jobs, _BATCH):
            numbers = range(first, min(first + _BATCH, jobs))
            await app.enqueue_many([job_type.request(**arguments(number)) for number in numbers])
    await space.settle_tables()


async def drain(space: Space, mode: str, jobs: int, processes: int, concurrency: int) -> Drained:
    """Preload, start the workers, and measure until PostgreSQL has the last job as completed."""
    await preload(space, mode, jobs)
    with fleet(space, processes, concurrency) as workers:
        pids = [worker.pid for worker in workers]
        await _first_start(space, workers)
        # Start-up is not part of a job's cost; the few jobs done before this line are.
        done_before = sink.count(space.sink)
        earlier = cost(space.servers, pids)
        while sink.count(space.sink) < jobs:
            if all(worker.poll() is not None for worker in workers):
                raise AssertionError(f"workers ended before the queue was empty: {sink.count(space.sink)} of {jobs}")
            await asyncio.sleep(0.005)
        committed = await space.committed()
        used = cost(space.servers, pids) - earlier
    await space.all_completed(jobs)
    marks = sink.marks(space.sink)
    sink.check_runs(marks, range(jobs))
    assert await space.executions() == {"COMPLETED": jobs}, "every job must have exactly one completed execution"
    last = marks[-1].started
    return Drained(
        mode=mode,
        processes=processes,
        concurrency=concurrency,
        jobs=jobs,
        per_second=round((jobs - 1) / (last - marks[0].started), 1),
        settle_lag_ms=round((committed - last) * 1000, 1),
        cpu=used.per(jobs - done_before) if jobs - done_before >= _ENOUGH else {},
    )


async def _first_start(space: Space, workers: list[subprocess.Popen[bytes]]) -> None:
    give_up = time.monotonic() + _FIRST_WITHIN
    while sink.count(space.sink) == 0:
        if time.monotonic() > give_up or any(worker.poll() is not None for worker in workers):
            raise AssertionError("no handler has started: " + log_tail(space))
        await asyncio.sleep(0.005)
