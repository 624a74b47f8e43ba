"""How many jobs a second one process enqueues, committed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tenure.bench.errors import NotAsPromised
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from tenure.app import Tenure
    from tenure.bench.stage import Stage

_BULK: Final = 1000


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs per second that one process enqueues, each call returning after its commit."""

    one_by_one: float
    callers_100: float
    bulk_1000: float


class _Count:
    """Jobs acked to their callers, all ways together."""

    def __init__(self) -> None:
        self.jobs = 0


async def enqueue(stage: Stage, seconds: float) -> Enqueued:
    """Send for some seconds each way."""
    count = _Count()
    async with stage.producer() as app:
        await app.job_types["before"].enqueue(**arguments(0))
        count.jobs += 1
        measured = Enqueued(
            one_by_one=await _callers(app, 1, seconds, count),
            callers_100=await _callers(app, 100, seconds, count),
            bulk_1000=await _bulk(app, seconds, count),
        )
    if (found := await stage.statuses()) != {"PENDING": count.jobs}:
        raise NotAsPromised(f"jobs acked that should all be committed, {count.jobs}: {found}")
    return measured


async def _callers(app: Tenure, callers: int, seconds: float, count: _Count) -> float:
    job_type = app.job_types["before"]
    before, began = count.jobs, time.perf_counter()
    end = began + seconds

    async def caller() -> None:
        while time.perf_counter() < end:
            await job_type.enqueue(**arguments(count.jobs))
            count.jobs += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return round((count.jobs - before) / (time.perf_counter() - began), 1)


async def _bulk(app: Tenure, seconds: float, count: _Count) -> float:
    job_type = app.job_types["before"]
    before, began = count.jobs, time.perf_counter()
    while time.perf_counter() < began + seconds:
        await app.enqueue_many([job_type.request(**arguments(number)) for number in range(_BULK)])
        count.jobs += _BULK
    return round((count.jobs - before) / (time.perf_counter() - began), 1)
