"""What a transaction that somebody holds open does to the throughput: vacuum may remove nothing that died since."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenure.bench import sink
from tenure.bench.fleet import check, fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space
    from tenure import Tenure

_BATCH: Final = 500
_AHEAD: Final = 3000  # jobs that wait, so that the worker never does
_QUARTER: Final = 4
_FREE: Final = 60.0  # seconds without the transaction; more only adds rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Jobs per second, enqueued and worked at the same time.

    Attributes:
        seconds: with the transaction held open; before that as long without, but at most a minute.
        last_quarter_per_second: of the held time; what grows with it shows here.
        kept_percent: the last quarter's rate, of the free one.
    """

    mode: str
    seconds: float
    free_per_second: float
    held_per_second: float
    last_quarter_per_second: float
    kept_percent: float
    dead_rows: int


class _Stream:
    """A queue that is kept from running dry."""

    def __init__(self, here: Space, app: Tenure, mode: str) -> None:
        self._here = here
        self._app = app
        self._job_type = app.job_types[mode]
        self.sent = 0

    async def run(self, seconds: float) -> float:
        """Jobs per second that began meanwhile."""
        began, first = time.perf_counter(), sink.count(self._here.sink)
        while (took := time.perf_counter() - began) < seconds:
            if self.sent - sink.count(self._here.sink) < _AHEAD:
                numbers = range(self.sent, self.sent + _BATCH)
                await self._app.enqueue_many([self._job_type.request(**arguments(number)) for number in numbers])
                self.sent += _BATCH
            else:
                await asyncio.sleep(0.002)
        return (sink.count(self._here.sink) - first) / took


async def held(here: Space, mode: str, seconds: float) -> Held:
    """Work freely for a while, then under a snapshot that somebody keeps."""
    with fleet(here, 1, 300) as workers:
        await ready(here, workers)
        async with here.producer() as app, here.connection() as idle:
            stream = _Stream(here, app, mode)
            await stream.run(min(seconds / 2, 5.0))  # warms up
            free = await stream.run(min(seconds, _FREE))
            async with idle.transaction(isolation="repeatable_read", readonly=True):
                await idle.fetchval("SELECT count(*) FROM pg_class")  # takes the snapshot
                quarters = [await stream.run(seconds / _QUARTER) for _ in range(_QUARTER)]
                check(here, workers)
            dead = await idle.fetchval(
                "SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables WHERE schemaname = $1", here.name
            )
            await here.all_completed(stream.sent)
    return Held(
        mode=mode,
        seconds=seconds,
        free_per_second=round(free, 1),
        held_per_second=round(sum(quarters) / _QUARTER, 1),
        last_quarter_per_second=round(quarters[-1], 1),
        kept_percent=round(quarters[-1] / max(free, 1e-9) * 100, 1),
        dead_rows=dead,
    )
