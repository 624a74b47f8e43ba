"""What it costs that jobs have tenants, end to end: pushing them, and draining them with real worker processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from tenure.bench.drain import empty
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space
    from tenure import Tenure
    from tenure.job_type import JobRequest

_BULK: Final = 1000


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """One drain of a queue that tenants share.

    Attributes:
        tenants: whose jobs take turns; 0: the jobs are nobody's, in a queue without lanes.
        pushed_per_second: jobs that one process enqueues in calls of 1,000, until Redis has the last.
        push: CPU microseconds of the stores for each of them.
        per_second, settle_lag_ms, cpu: as of every drain.
    """

    mode: str
    tenants: int
    processes: int
    concurrency: int
    jobs: int
    pushed_per_second: float
    push: dict[str, float | None]
    per_second: float
    settle_lag_ms: float
    cpu: dict[str, float | None]


async def tenants(here: Space, mode: str, count: int, jobs: int, concurrency: int) -> Shared:
    """Push so many jobs, of nobody or of `count` tenants in turn, and drain them by one worker process."""
    async with here.producer() as app:
        pushed, push = await _push(here, app, mode, count, jobs)
    await here.prepared()
    drained = await empty(here, mode, jobs, 1, concurrency, here.meter)
    return Shared(
        mode=mode,
        tenants=count,
        processes=1,
        concurrency=concurrency,
        jobs=jobs,
        pushed_per_second=pushed,
        push=push,
        per_second=drained.per_second,
        settle_lag_ms=drained.settle_lag_ms,
        cpu=drained.cpu,
    )


async def _push(here: Space, app: Tenure, mode: str, count: int, jobs: int) -> tuple[float, dict[str, float | None]]:
    job_type = app.job_types[mode]
    bound = [job_type.options(tenant=f"tenant-{number}") for number in range(count)] or [job_type.options()]

    def request(number: int) -> JobRequest[object]:
        return bound[number % len(bound)].request(**arguments(number))

    # The first finds the queue unbuilt, and has it built.
    await app.enqueue_many([request(0)])
    await _pushed(app)
    meter, began = here.meter, time.perf_counter()
    meter.start([])
    for first in range(1, jobs, _BULK):
        await app.enqueue_many([request(number) for number in range(first, min(first + _BULK, jobs))])
    await _pushed(app)
    seconds = time.perf_counter() - began
    used = {party: share for party, share in meter.stop(jobs - 1).items() if party != "worker_us"}
    return round((jobs - 1) / seconds, 1), used


async def _pushed(app: Tenure) -> None:
    stores = app._open()  # noqa: SLF001 - the API does not say when Redis has what was enqueued, for nobody needs to know
    await stores.publisher.drained()
    await stores.rebuilder.settled()
