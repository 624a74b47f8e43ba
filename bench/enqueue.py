"""How many jobs a second one process enqueues, committed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench.handlers import arguments

if TYPE_CHECKING:
    from bench.space import Space
    from tenure import Tenure

_BULK: Final = 1000


@dataclass(frozen=True, slots=True)
class Enqueued:
    """Jobs per second, by how they are sent."""

    one_by_one: float
    callers_100: float
    bulk_1000: float

    def row(self) -> dict[str, object]:
        """The figures as they are kept."""
        return asdict(self)


class _Count:
    """Jobs acked to their callers, all ways together."""

    def __init__(self) -> None:
        self.jobs = 0


async def enqueue(space: Space, seconds: float) -> Enqueued:
    """Send for some seconds each way."""
    count = _Count()
    async with space.producer() as app:
        await app.job_types["before"].enqueue(**arguments(0))
        count.jobs += 1
        measured = Enqueued(
            one_by_one=await _callers(app, 1, seconds, count),
            callers_100=await _callers(app, 100, seconds, count),
            bulk_1000=await _bulk(app, seconds, count),
        )
    assert await space.statuses() == {"PENDING": count.jobs}, "every acked job must be committed"
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
