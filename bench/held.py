"""What a transaction that somebody holds open does to the throughput: vacuum may remove nothing that died since."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.cost import cost
from tenure.bench import sink
from tenure.bench.fleet import check, fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from asyncpg import Connection

    from bench.space import Space
    from tenure import Tenure

_BATCH: Final = 500
_AHEAD: Final = 3000  # jobs that wait, so that the worker never does
_QUARTER: Final = 4
_WAL: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
_FREE: Final = 60.0  # seconds without the transaction; more only adds rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Jobs per second, enqueued and worked at the same time.

    Attributes:
        seconds: with the transaction held open; before that as long without, but at most a minute.
        last_quarter_per_second: of the held time; what grows with it shows here.
        kept_percent: the last quarter's rate, of the free one.
        free_postgres_us, last_postgres_us: CPU of PostgreSQL a job, its vacuum and checkpoints included; freely and in
            the last quarter. None where the server is somewhere else.
        free_worker_us, last_worker_us: CPU of the worker process a job.
        free_wal_bytes, last_wal_bytes: of PostgreSQL's log a job.
    """

    mode: str
    seconds: float
    free_per_second: float
    held_per_second: float
    last_quarter_per_second: float
    kept_percent: float
    dead_rows: int
    free_postgres_us: float | None
    last_postgres_us: float | None
    free_worker_us: float
    last_worker_us: float
    free_wal_bytes: float
    last_wal_bytes: float


@dataclass(frozen=True, slots=True)
class _Phase:
    """A stretch of work: jobs a second, and what each cost."""

    per_second: float
    postgres_us: float | None
    worker_us: float
    wal_bytes: float


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

    async def phase(self, seconds: float, connection: Connection, workers: list[int]) -> _Phase:
        """The same, with what it cost."""
        first, earlier = sink.count(self._here.sink), cost(self._here.servers, workers)
        wal = await connection.fetchval(_WAL)
        per_second = await self.run(seconds)
        spent, jobs = cost(self._here.servers, workers) - earlier, max(1, sink.count(self._here.sink) - first)
        postgres_us = None if spent.postgres is None else round(spent.postgres / jobs * 1e6, 1)
        wal_bytes = float(await connection.fetchval(_WAL) - wal) / jobs
        return _Phase(per_second, postgres_us, round(spent.workers / jobs * 1e6, 1), round(wal_bytes, 1))


async def held(here: Space, mode: str, seconds: float) -> Held:
    """Work freely for a while, then under a snapshot that somebody keeps."""
    with fleet(here, 1, 300) as workers:
        await ready(here, workers)
        async with here.producer() as app, here.connection() as idle:
            stream = _Stream(here, app, mode)
            await stream.run(min(seconds / 2, 5.0))  # warms up
            pids = [worker.pid for worker in workers]
            free = await stream.phase(min(seconds, _FREE), idle, pids)
            async with idle.transaction(isolation="repeatable_read", readonly=True):
                await idle.fetchval("SELECT count(*) FROM pg_class")  # takes the snapshot
                quarters = [await stream.phase(seconds / _QUARTER, idle, pids) for _ in range(_QUARTER)]
                check(here, workers)
            dead = await idle.fetchval(
                "SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables WHERE schemaname = $1", here.name
            )
            await here.all_completed(stream.sent)
    return Held(
        mode=mode,
        seconds=seconds,
        free_per_second=round(free.per_second, 1),
        held_per_second=round(sum(quarter.per_second for quarter in quarters) / _QUARTER, 1),
        last_quarter_per_second=round(quarters[-1].per_second, 1),
        kept_percent=round(quarters[-1].per_second / max(free.per_second, 1e-9) * 100, 1),
        dead_rows=dead,
        free_postgres_us=free.postgres_us,
        last_postgres_us=quarters[-1].postgres_us,
        free_worker_us=free.worker_us,
        last_worker_us=quarters[-1].worker_us,
        free_wal_bytes=free.wal_bytes,
        last_wal_bytes=quarters[-1].wal_bytes,
    )
