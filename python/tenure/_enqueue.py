"""From a request to a committed row, and from there to Redis; single calls coalesce."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from tenure._coalesce import Coalescer
from tenure._database import tried
from tenure._descriptors import new_descriptors
from tenure._insert import insert_rows
from tenure._outcomes import Enqueued, Outcomes, refuse, refuses
from tenure._quota import Quotas
from tenure._unique import in_lock_order
from tenure.errors import QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenure._database import Connection, Database
    from tenure._new_job import NewJob
    from tenure._publish import Publisher
    from tenure._seal import Seal

_MOST_ROWS: Final = 1000
_IN_FLIGHT: Final = 2
# Seconds between the beginnings of two batches: a commit for one job costs nearly as much as one for ten.
_PACE: Final = 0.001
# A long call goes out in pieces: while the server inserts one, the next is encoded.
_CHUNK: Final = 500
_CHUNKS_IN_FLIGHT: Final = 3


class Enqueuer:
    """Inserts jobs in batches and hands what is ready to the publisher after the commit."""

    def __init__(self, database: Database, publisher: Publisher, seal: Seal | None) -> None:
        """Prepare; `database` and `publisher` must be open when the first job comes. `seal` seals again what takes
        another job's place.
        """
        self._database = database
        self._publisher = publisher
        self._outcomes = Outcomes(database, publisher, seal)
        self._quotas = Quotas(database)
        self._limited: Coalescer[tuple[NewJob, asyncio.Future[Enqueued]]] = Coalescer(
            self._flush_limited, most=_CHUNK, in_flight=_IN_FLIGHT
        )
        self._single: Coalescer[tuple[NewJob, asyncio.Future[Enqueued]]] = Coalescer(
            self._flush, most=_MOST_ROWS, in_flight=_IN_FLIGHT, pace=_PACE, awaited=True
        )

    async def one(self, job: NewJob) -> Enqueued:
        """Insert one job together with whatever else is being enqueued right now.

        Raises:
            QuotaExceeded: no more jobs may wait.
        """
        await self._quotas.refresh()
        done: asyncio.Future[Enqueued] = asyncio.get_running_loop().create_future()
        (self._limited if self._quotas.covers(job) else self._single).add((job, done))
        enqueued = await done
        refuse([job], [enqueued])
        return enqueued

    async def many(self, jobs: Sequence[NewJob], connection: Connection | None = None) -> list[Enqueued]:
        """Insert jobs in as few statements as their number needs; all or nothing within a caller's transaction, and
        where a taken key is to be refused or a limit on waiting jobs applies.

        Raises:
            QuotaExceeded: not all of them may wait; none was written.
        """
        if connection is not None:
            joined = await self._joined(jobs, connection)
            self._publisher.after_commit(connection, [one.job_id for one in joined])
            return joined
        await self._quotas.refresh()
        if any(map(refuses, jobs)) or any(map(self._quotas.covers, jobs)):
            joined = await self._database.atomically(lambda own: self._joined(jobs, own))
            self._publisher.publish_ids([one.job_id for one in joined])
            return joined
        gate = asyncio.Semaphore(_CHUNKS_IN_FLIGHT)

        async def insert(chunk: Sequence[NewJob]) -> list[Enqueued]:
            async with gate:
                return await self._insert_and_publish(chunk)

        enqueued = await asyncio.gather(*map(insert, _chunks(jobs)))
        return [one for chunk in enqueued for one in chunk]

    async def _joined(self, jobs: Sequence[NewJob], connection: Connection) -> list[Enqueued]:
        """Insert in a transaction that is there; a key that is refused undoes no more than this."""
        refusing = any(map(refuses, jobs))
        async with connection.transaction() if refusing else nullcontext():
            ordered = in_lock_order(jobs)
            enqueued = await self.insert(ordered, connection)
            if ordered is not jobs:
                by_id = dict(zip((job.job_id for job in ordered), enqueued, strict=True))
                enqueued = [by_id[job.job_id] for job in jobs]
            refuse(jobs, enqueued)
        return enqueued

    async def drained(self) -> None:
        """Wait until every job taken so far is inserted."""
        await self._single.drained()
        await self._limited.drained()

    async def _flush(self, batch: list[tuple[NewJob, asyncio.Future[Enqueued]]]) -> None:
        await self._told(batch, self._insert_and_publish)

    async def _flush_limited(self, batch: list[tuple[NewJob, asyncio.Future[Enqueued]]]) -> None:
        await self._told(batch, self._insert_what_fits)

    async def _told(
        self,
        batch: list[tuple[NewJob, asyncio.Future[Enqueued]]],
        insert: Callable[[list[NewJob]], Awaitable[Sequence[Enqueued | QuotaExceeded]]],
    ) -> None:
        """Insert a batch, and tell each of its callers."""
        try:
            outcomes = await insert([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - every caller of the batch is told
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), one in zip(batch, outcomes, strict=True):
            if not done.done():
                if isinstance(one, QuotaExceeded):
                    done.set_exception(one)
                else:
                    done.set_result(one)

    async def _insert_what_fits(self, jobs: list[NewJob]) -> list[Enqueued | QuotaExceeded]:
        """Insert those of these jobs, of several callers, that limits on waiting jobs leave a place for."""
        outcomes = await tried(lambda: self._database.atomically(lambda own: self._fitting(jobs, own)))
        self._publisher.publish_ids([one.job_id for one in outcomes if isinstance(one, Enqueued) and one.changed])
        return outcomes

    async def _fitting(self, jobs: list[NewJob], connection: Connection) -> list[Enqueued | QuotaExceeded]:
        refused, placed = await self._quotas.refusals(jobs, connection)
        fit = in_lock_order([job for job in jobs if job.job_id not in refused])
        enqueued = await self._inserted(fit, connection) if fit else []
        await self._quotas.verify(fit, enqueued, placed, connection)
        by_id = dict(zip((job.job_id for job in fit), enqueued, strict=True))
        return [refused.get(job.job_id) or by_id[job.job_id] for job in jobs]

    async def _insert_and_publish(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        inserted = await tried(lambda: insert_rows(self._database, jobs, None))
        self._publisher.publish(new_descriptors(jobs, inserted))
        if inserted.only is None or not any(job.unique_key for job in jobs):
            return await self._outcomes.of(jobs, inserted, None)
        # Finding the keys' holders and changing them is one transaction, with nothing of the insert's held meanwhile.
        enqueued = await self._database.atomically(lambda own: self._outcomes.of(jobs, inserted, own))
        new = {job.job_id for job in jobs if inserted.has(job)}
        self._publisher.publish_ids([one.job_id for one in enqueued if one.changed and one.job_id not in new])
        return enqueued

    async def insert(
        self, jobs: Sequence[NewJob], connection: Connection, *, with_edges: bool = False
    ) -> list[Enqueued]:
        """Insert inside the caller's transaction; publishing waits for its commit.

        Raises:
            QuotaExceeded: not all of them may wait; none was written.
        """
        await self._quotas.refresh(connection)
        if not any(map(self._quotas.covers, jobs)):
            return await self._inserted(jobs, connection, with_edges=with_edges)
        refused, placed = await self._quotas.refusals(jobs, connection)
        if refused:
            raise next(iter(refused.values()))
        async with connection.transaction():
            enqueued = await self._inserted(jobs, connection, with_edges=with_edges)
            await self._quotas.verify(jobs, enqueued, placed, connection)
        return enqueued

    async def fitting(self, jobs: Sequence[NewJob], connection: Connection) -> tuple[list[NewJob], list[QuotaExceeded]]:
        """Those of these jobs that may wait, and why the others may not; the answer holds for this transaction."""
        await self._quotas.refresh(connection)
        refused, _ = await self._quotas.refusals(jobs, connection)
        return [job for job in jobs if job.job_id not in refused], list(refused.values())

    async def _inserted(
        self, jobs: Sequence[NewJob], connection: Connection, *, with_edges: bool = False
    ) -> list[Enqueued]:
        enqueued = []
        for chunk in _chunks(jobs):
            inserted = await insert_rows(self._database, chunk, connection, with_edges=with_edges)
            enqueued += await self._outcomes.of(chunk, inserted, connection)
        return enqueued


def _chunks(jobs: Sequence[NewJob]) -> list[Sequence[NewJob]]:
    return [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
