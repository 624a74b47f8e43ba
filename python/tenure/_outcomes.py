"""What became of the jobs of a call: themselves, or the jobs that have their ids and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure._insert import insert_rows
from tenure._unique import Conflicts
from tenure.errors import DuplicateJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database
    from tenure._insert import Inserted
    from tenure._new_job import NewJob
    from tenure._publish import Publisher
    from tenure._seal import Seal


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


def refuses(job: NewJob) -> bool:
    """Whether the call is to be refused if its unique key is taken."""
    return job.options.unique is not None and job.options.unique.on_conflict == "refuse"


def refuse(jobs: Sequence[NewJob], enqueued: Sequence[Enqueued]) -> None:
    """Raise for the first call whose key was taken, and is to be refused then."""
    for job, one in zip(jobs, enqueued, strict=True):
        if one.conflict == "refused":
            raise DuplicateJob(job.unique_key or "", one.job_id)


def created(job: NewJob) -> Enqueued:
    """The outcome of a job that is new."""
    return Enqueued(job.job_id, job.profile.job_type, job.profile.queue, True)  # noqa: FBT003 - a Struct is quick by position


class Outcomes:
    """Finds out, for jobs that have just been inserted or not."""

    def __init__(self, database: Database, publisher: Publisher, seal: Seal | None) -> None:
        """Prepare; `seal` seals again what takes another job's place."""
        self._database = database
        self._publisher = publisher
        self._conflicts = Conflicts(database, self._made, seal, publisher.after_commit)

    async def of(self, jobs: Sequence[NewJob], inserted: Inserted, connection: Connection | None) -> list[Enqueued]:
        """What became of each of these jobs; without a transaction, unique keys are left alone.

        Raises:
            Backpressure: others took and left the unique keys again and again.
        """
        if inserted.only is None:
            return [created(job) for job in jobs]
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
                enqueued.append(created(job))
            else:
                same = str(row["job_id"]) == job.job_id
                enqueued.append(Enqueued(str(row["job_id"]), row["job_type"], row["queue"], created=same))
        # A first try whose answer was lost has committed rows that nobody published yet.
        self._publisher.publish_ids([job.job_id for job in taken if job.job_id in by_id])
        return enqueued

    async def _made(self, jobs: Sequence[NewJob], connection: Connection) -> set[str]:
        """Insert once more, what had no place at first; the ids of the new ones."""
        inserted = await insert_rows(self._database, jobs, connection, with_edges=True)
        return {job.job_id for job in jobs if inserted.has(job)}
