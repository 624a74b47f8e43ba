"""From a request to a committed row, and from there to Redis; single calls coalesce."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._coalesce import Coalescer
from tenure._database import tried
from tenure._engine import Descriptor
from tenure._new_job import Profile
from tenure._quota import Quotas
from tenure._unique import Conflicts, in_lock_order
from tenure.errors import DuplicateJob, QuotaExceeded

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


class Enqueued(msgspec.Struct, frozen=True):
    """What became of a new job: itself, or the one that its idempotency key or its unique key names. `conflict` says
    what became of the latter.
    """

    job_id: str
    job_type: str
    queue: str
    created: bool
    conflict: str | None = None

    @property
    def changed(self) -> bool:
        """Whether Redis must hear of it."""
        return self.created or self.conflict in ("replaced", "extended")


class Inserted(msgspec.Struct, frozen=True):
    """What a batch did: the server's time, the ids that were new where not all were, the highest priorities of those
    tenants of the batch that have one, and which queues are in the order of deadlines, where it has some.
    """

    now_ms: int
    only: set[str] | None
    most: dict[str, int]
    by_deadline: list[str]

    def has(self, job: NewJob) -> bool:
        """Whether this job was new."""
        return self.only is None or job.job_id in self.only


class Enqueuer:
    """Inserts jobs in batches and hands what is ready to the publisher after the commit."""

    def __init__(self, database: Database, publisher: Publisher, seal: Seal | None) -> None:
        """Prepare; `database` and `publisher` must be open when the first job comes. `seal` seals again what takes
        another job's place.
        """
        self._database = database
        self._publisher = publisher
        self._conflicts = Conflicts(database, self._made, seal, publisher.after_commit)
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
        inserted = await tried(lambda: self._rows(jobs, None))
        self._publisher.publish(_descriptors(jobs, inserted))
        if inserted.only is None or not any(job.unique_key for job in jobs):
            return await self._enqueued(jobs, inserted, None)
        # Finding the keys' holders and changing them is one transaction, with nothing of the insert's held meanwhile.
        enqueued = await self._database.atomically(lambda own: self._enqueued(jobs, inserted, own))
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
            inserted = await self._rows(chunk, connection, with_edges=with_edges)
            enqueued += await self._enqueued(chunk, inserted, connection)
        return enqueued

    async def _made(self, jobs: Sequence[NewJob], connection: Connection) -> set[str]:
        """Insert once more, what had no place at first; the ids of the new ones."""
        inserted = await self._rows(jobs, connection, with_edges=True)
        return {job.job_id for job in jobs if inserted.has(job)}

    async def _rows(
        self, jobs: Sequence[NewJob], connection: Connection | None, *, with_edges: bool = False
    ) -> Inserted:
        columns = _columns(in_lock_order(jobs), with_edges=with_edges)
        [row] = await self._database.fetch("enqueue", *columns, connection=connection)
        whole = row["inserted"] == len(jobs)
        only = None if whole else {str(job_id) for job_id in row["job_ids"] or ()}
        most = msgspec.json.decode(row["most"]) if row["most"] else {}
        return Inserted(row["now_ms"], only, most, row["by_deadline"] or [])

    async def _enqueued(
        self, jobs: Sequence[NewJob], inserted: Inserted, connection: Connection | None
    ) -> list[Enqueued]:
        if inserted.only is None:
            return [_created(job) for job in jobs]
        return await self._with_existing(jobs, inserted, connection)

    async def _with_existing(
        self, jobs: Sequence[NewJob], inserted: Inserted, connection: Connection | None
    ) -> list[Enqueued]:
        """Find the jobs behind ids and keys that were taken: an earlier call's, or this batch's own first try."""
        taken = [job for job in jobs if not inserted.has(job)]
        keys = [key for job in taken if (key := job.options.idempotency_key)]
        found = await self._database.fetch("existing", [job.job_id for job in taken], keys, connection=connection)
        by_id = {str(row["job_id"]): row for row in found}
        by_key = {row["idempotency_key"]: row for row in found}
        rows = {job.job_id: by_id.get(job.job_id) or by_key.get(job.options.idempotency_key) for job in taken}
        settled = {}
        if connection is not None and (keyed := [job for job in taken if job.unique_key and rows[job.job_id] is None]):
            settled = await self._conflicts.settle(keyed, connection)
        enqueued = []
        for job in jobs:
            row = rows.get(job.job_id)
            if (held := settled.get(job.job_id)) is not None:
                holder, job_type, queue, conflict = held
                enqueued.append(Enqueued(holder, job_type, queue, conflict is None, conflict))
            elif row is None:
                enqueued.append(_created(job))
            else:
                same = str(row["job_id"]) == job.job_id
                enqueued.append(Enqueued(str(row["job_id"]), row["job_type"], row["queue"], created=same))
        # A first try whose answer was lost has committed rows that nobody published yet.
        self._publisher.publish_ids([job.job_id for job in taken if job.job_id in by_id])
        return enqueued


def _chunks(jobs: Sequence[NewJob]) -> list[Sequence[NewJob]]:
    return [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]


def refuses(job: NewJob) -> bool:
    """Whether the call is to be refused if its unique key is taken."""
    return job.options.unique is not None and job.options.unique.on_conflict == "refuse"


def refuse(jobs: Sequence[NewJob], enqueued: Sequence[Enqueued]) -> None:
    """Raise for the first call whose key was taken, and is to be refused then."""
    for job, one in zip(jobs, enqueued, strict=True):
        if one.conflict == "refused":
            raise DuplicateJob(job.unique_key or "", one.job_id)


def _created(job: NewJob) -> Enqueued:
    return Enqueued(job.job_id, job.profile.job_type, job.profile.queue, True)  # noqa: FBT003 - a Struct is quick by position


def _columns(jobs: Sequence[NewJob], *, with_edges: bool) -> tuple[Any, ...]:
    """The jobs as the parameters of `enqueue.sql`, in its order.

    Every element of an array costs the driver a look. So what all jobs have as its default is an empty array, and a
    profile that they share goes once.
    """
    profiles = [job.profile for job in jobs]
    shared = all(profile is profiles[0] for profile in profiles)
    if shared:
        profiles = profiles[:1]
    keys = [job.options.idempotency_key for job in jobs]
    uniques = [job.unique_key for job in jobs]
    return (
        [job.job_id for job in jobs],
        [job.payload for job in jobs],
        keys if any(keys) else [],
        [job.pending_dependencies for job in jobs] if with_edges else [],
        [job.has_dependents for job in jobs] if with_edges else [],
        [job.cancelled for job in jobs] if with_edges else [],
        *([getattr(profile, name) for profile in profiles] for name in Profile.__struct_fields__),
        shared,
        uniques if any(uniques) else [],
    )


def _descriptors(jobs: Sequence[NewJob], inserted: Inserted) -> dict[str, list[Descriptor]]:
    """What Redis must know of those jobs that wait to be leased, by queue."""
    by_queue: dict[str, list[Descriptor]] = defaultdict(list)
    likes: dict[int, Callable[[str, bytes], Descriptor]] = {}
    for job in jobs:
        if job.pending_dependencies or job.cancelled or not inserted.has(job):
            continue
        like = likes.get(id(job.profile))
        if like is None:
            like = likes[id(job.profile)] = _descriptor(job, inserted).like
        by_queue[job.profile.queue].append(like(job.job_id, job.payload))
    return by_queue


def _descriptor(job: NewJob, inserted: Inserted) -> Descriptor:
    profile = job.profile
    run_at = profile.run_at
    rare = profile.attributes
    tenant = rare.get("tenant", "")
    return Descriptor(
        job_id=job.job_id,
        job_type=profile.job_type,
        priority=min(profile.priority, inserted.most.get(tenant, profile.priority)),
        fence=0,
        attempts=0,
        max_retries=profile.max_retries,
        timeout_ms=profile.timeout_ms or 0,
        run_at_ms=inserted.now_ms + profile.delay_ms if run_at is None else round(run_at.timestamp() * 1000),
        payload=job.payload,
        ready=run_at is None and profile.delay_ms <= 0,
        payload_format=profile.payload_format,
        mode=profile.mode,
        tenant=tenant,
        requires=rare.get("requires", ""),
        limit_key=rare.get("limit_key", ""),
        cost=rare.get("cost", 1000),
        deadline_ms=_deadline_ms(rare, inserted.now_ms) if profile.queue in inserted.by_deadline else 0,
    )


def _deadline_ms(rare: dict[str, Any], now_ms: int) -> int:
    """When the job must have ended, as `enqueue.sql` has it; 0 for never."""
    ends = [round(datetime.fromisoformat(rare["deadline_at"]).timestamp() * 1000)] if "deadline_at" in rare else []
    if "deadline_ms" in rare:
        ends.append(now_ms + rare["deadline_ms"])
    return min(ends, default=0)
