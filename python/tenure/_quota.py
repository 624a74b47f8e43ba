"""Limits on waiting jobs: asked before anything is written, and exact however many enqueue at the same time.

Whoever enqueues under such a limit holds its lock until the end of the transaction, and counts what waits with a
snapshot that is newer than the lock. Which queues have such limits is kept for a moment, so that those that have none
pay nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tenure._database import tried
from tenure.errors import InvalidInput, QuotaExceeded, TenureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database
    from tenure._new_job import NewJob
    from tenure._outcomes import Enqueued

# Seconds for which what is known is taken as it is, and for which it is while it is read again.
_FRESH: Final = 1.0
_STALE: Final = 3.0
_EACH: Final = "*"


class Quota(NamedTuple):
    """A limit, and whose waiting jobs it counts."""

    queue: str
    scope: str
    name: str
    most: int


class Quotas:
    """The limits on waiting jobs, as this process knows them: what an operator sets is known within seconds."""

    def __init__(self, database: Database) -> None:
        """Prepare; the database must be open when the first job comes."""
        self._database = database
        self._limits: dict[str, dict[tuple[str, str], int]] = {}
        self._read_at = -_STALE
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self, connection: Connection | None = None) -> None:
        """Read the limits again unless they are fresh; on `connection`, where the caller holds one: who waits for
        another one with a connection in hand may wait for himself.
        """
        age = time.monotonic() - self._read_at
        if age < _FRESH:
            return
        if connection is not None:
            if age >= _STALE:
                await self._read(connection)
            return
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(tried(lambda: self._read(None)))
            self._reading.add_done_callback(self._read_ended)
        if age >= _STALE:
            await asyncio.shield(self._reading)

    def covers(self, job: NewJob) -> bool:
        """Whether a limit may apply to a job; quick where there is none."""
        return bool(self._limits) and bool(self._of(job))

    async def refusals(
        self, jobs: Sequence[NewJob], connection: Connection
    ) -> tuple[dict[str, QuotaExceeded], set[str]]:
        """Which of these jobs no place is left for, why, and which of the others were given one, all by job id. Locks
        the limits until the transaction ends. Jobs that are there already need no place.

        Raises:
            InvalidInput: the transaction reads an old snapshot, in which nothing can be counted.
            Backpressure: others hold the locks for too long.
        """
        of = {job.job_id: self._of(job) for job in jobs}
        quotas = sorted({quota for found in of.values() for quota in found})
        if not quotas:
            return {}, set()
        await self._lock(quotas, connection)
        there = await self._there(jobs, connection)
        waiting = dict(zip(quotas, await self._count(quotas, connection, more=0), strict=True))
        asked = Counter(quota for job in jobs if job.job_id not in there for quota in of[job.job_id])
        placed, refused = Counter[Quota](), {}
        for job in jobs:
            if job.job_id in there:
                continue
            full = next((one for one in of[job.job_id] if waiting[one] + placed[one] >= one.most), None)
            if full is None:
                placed.update(of[job.job_id])
            else:
                refused[job.job_id] = QuotaExceeded(*full, waiting=waiting[full], asked=asked[full])
        return refused, {job.job_id for job in jobs} - there - refused.keys()

    async def verify(
        self, jobs: Sequence[NewJob], enqueued: Sequence[Enqueued], placed: set[str], connection: Connection
    ) -> None:
        """Count again where more was made than places were given: who had a key let go of it meanwhile.

        Raises:
            QuotaExceeded: that was one too many; the caller's transaction, or savepoint, is to be undone.
        """
        more = [job for job, one in zip(jobs, enqueued, strict=True) if one.created and one.job_id not in placed]
        quotas = sorted({quota for job in more for quota in self._of(job)})
        if not quotas:
            return
        for quota, waiting in zip(quotas, await self._count(quotas, connection, more=1), strict=True):
            if waiting > quota.most:
                raise QuotaExceeded(*quota, waiting=quota.most, asked=1)

    def _of(self, job: NewJob) -> list[Quota]:
        """The limits that a job waits under."""
        queue = job.profile.queue
        limits = self._limits.get(queue)
        if not limits:
            return []
        options = job.options
        found = []
        for scope, name in (
            ("queue", _EACH),
            ("type", job.profile.job_type),
            ("tenant", options.tenant),
            ("key", options.limit_key),
        ):
            if name is not None:
                most = limits.get((scope, name), limits.get((scope, _EACH)))
                if most is not None:
                    found.append(Quota(queue, scope, name, most))
        return found

    async def _lock(self, quotas: Sequence[Quota], connection: Connection) -> None:
        numbers = sorted({_number(self._database.schema, quota) for quota in quotas})
        [row] = await self._database.fetch("lock_limits", numbers, connection=connection)
        if row["isolation"] != "read committed":
            limit = "in a transaction that is read committed, where the queue has a limit on waiting jobs"
            raise InvalidInput("connection", limit, row["isolation"])

    async def _count(self, quotas: Sequence[Quota], connection: Connection, more: int) -> list[int]:
        columns = [[getattr(quota, name) for quota in quotas] for name in ("queue", "scope", "name")]
        most = [quota.most + more for quota in quotas]
        rows = await self._database.fetch("count_waiting", *columns, most, connection=connection)
        return [row["waiting"] for row in rows]

    async def _there(self, jobs: Sequence[NewJob], connection: Connection) -> set[str]:
        """The jobs that add nothing: they, or what has their keys, are there, or stand before them in the call."""
        there: set[str] = set()
        seen: set[tuple[str, str]] = set()
        columns: list[list[Any]] = [[], [], [], [], []]
        for job in jobs:
            # A call that goes to the next window may be new whoever has the key.
            later = job.options.unique is not None and job.options.unique.on_conflict == "later"
            unique_key = None if later else job.unique_key
            rare = job.profile.attributes if unique_key else {}
            keys = {("idempotency", job.options.idempotency_key), ("unique", unique_key)}
            known = {(kind, key) for kind, key in keys if key is not None}
            if seen & known:
                there.add(job.job_id)
            seen |= known
            row = (
                job.job_id,
                job.options.idempotency_key,
                unique_key,
                rare.get("window_ms"),
                rare.get("windows_ahead", 0),
            )
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        rows = await self._database.fetch("already_there", *columns, connection=connection)
        return there | {jobs[row["place"] - 1].job_id for row in rows}

    async def _read(self, connection: Connection | None) -> None:
        limits: dict[str, dict[tuple[str, str], int]] = {}
        began = time.monotonic()
        for row in await self._database.fetch("queued_limits", connection=connection):
            limits.setdefault(row["queue"], {})[row["scope"], row["name"]] = row["most"]
        self._limits, self._read_at = limits, began

    def _read_ended(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            with suppress(TenureError):
                # Who needed it was told; the others' own insert finds PostgreSQL away, or the next reading does not.
                reading.result()


def _number(schema: str, quota: Quota) -> int:
    """The number of a limit's lock, the same in every process."""
    text = f"{schema}|{quota.queue}|{quota.scope}|{quota.name}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
