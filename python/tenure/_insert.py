"""The statement that inserts jobs: what it is given, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tenure._new_job import Profile
from tenure._unique import in_lock_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database
    from tenure._new_job import NewJob


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


async def insert_rows(
    database: Database, jobs: Sequence[NewJob], connection: Connection | None, *, with_edges: bool = False
) -> Inserted:
    """Insert those of these jobs whose ids and keys are free, in one statement.

    Args:
        database: where the statement is.
        jobs: the new jobs.
        connection: whose transaction they join; None for one of their own.
        with_edges: whether some may wait for others, or have others wait for them.
    """
    columns = _columns(in_lock_order(jobs), with_edges=with_edges)
    [row] = await database.fetch("enqueue", *columns, connection=connection)
    whole = row["inserted"] == len(jobs)
    only = None if whole else {str(job_id) for job_id in row["job_ids"] or ()}
    most = msgspec.json.decode(row["most"]) if row["most"] else {}
    return Inserted(row["now_ms"], only, most, row["by_deadline"] or [])


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
