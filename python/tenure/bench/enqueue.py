"""How many jobs a second one process enqueues, committed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tenure.bench.errors import NotAsPromised
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.app import Tenure
    from tenure.bench.stage import Stage
    from tenure.job_type import JobRequest

_BULK: Final = 1000


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs per second that one process enqueues, each call returning after its commit.

    Attributes:
        one_by_one: by one caller.
        callers_100: by 100 callers at once.
        bulk_1000: by calls of 1,000.
        unique_1000: by calls of 1,000 unique jobs whose keys, made of their arguments, are free.
        kept_1000: calls of 1,000 whose keys are all taken: each gets the job that is there.
        unique_ratio: unique jobs beside plain ones, in calls of 1,000 that take turns.
    """

    one_by_one: float
    callers_100: float
    bulk_1000: float
    unique_1000: float
    kept_1000: float
    unique_ratio: float


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
            **await _unique(app, seconds, count),
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


async def _unique(app: Tenure, seconds: float, count: _Count) -> dict[str, float]:
    """Plain, unique and kept calls in turns, so that what else the machine does meets all three."""
    job_type = app.job_types["before"]
    unique = job_type.options(unique=True)
    spent = {"plain": 0.0, "unique": 0.0, "kept": 0.0}
    calls = 0

    async def timed(way: str, requests: Sequence[JobRequest]) -> None:
        began = time.perf_counter()
        jobs = await app.enqueue_many(requests)
        spent[way] += time.perf_counter() - began
        count.jobs += sum(job.created for job in jobs)

    while sum(spent.values()) < seconds:
        numbers = range(calls * _BULK, (calls + 1) * _BULK)
        await timed("plain", [job_type.request(**arguments(number)) for number in numbers])
        await timed("unique", [unique.request(**arguments(number)) for number in numbers])
        await timed("kept", [unique.request(**arguments(number)) for number in numbers])
        calls += 1
    jobs = calls * _BULK
    return {
        "unique_1000": round(jobs / spent["unique"], 1),
        "kept_1000": round(jobs / spent["kept"], 1),
        "unique_ratio": round(spent["plain"] / spent["unique"], 3),
    }
