"""Priorities that jobs inherit: a job that waits lifts what it waits for, and lets go of it when it waits no more.

`jobs.priority` is the one that counts; `own_priority` is there only while it differs:

    priority = min(limit, max(own_priority, priority of each job that waits for this one))

All of it happens in the transaction that makes a job wait or ends its waiting, and only where somebody is lifted; jobs
without dependencies have no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tenure._database import Connection, Database, Row
    from tenure._new_job import NewJob, Profile


# Jobs to be lifted, and the tenants of those that wait for them, to priorities that these tenants may yet bound.
Lifts = dict[tuple[str, str | None], int]


class Heights:
    """The priorities of a batch of new jobs, parents first: each takes at least its parents' own ones, and is noted for
    those that are lower than itself. What lifts a parent is not handed on to its other children: it may fall again.
    """

    def __init__(self, known: Mapping[str, Row], bounds: Mapping[str, int]) -> None:
        """Begin; `known` are the (locked) parents that exist already, rows of `lock_parents.sql`, and `bounds` those of
        tenants whose jobs hand a priority on, of `bounds`.
        """
        self._known = known
        self._bounds = bounds
        self._own: dict[str, int] = {job_id: row["own_priority"] for job_id, row in known.items()}
        self._waits: list[tuple[NewJob, str]] = []
        # With the profile it was made of, whose identity is the key.
        self._profiles: dict[tuple[int, int], tuple[Profile, Profile]] = {}

    def enter(self, job: NewJob, parents: Iterable[str], waits: Iterable[str]) -> None:
        """Give a job its priority; `parents` are all that it depends on, `waits` those that it waits for."""
        priority = job.options.priority
        if job.options.inherit_priority:
            priority = max(priority, max((self._own[parent] for parent in parents), default=1))
        if self._bounds and job.options.tenant is not None:
            priority = min(priority, self._bounds.get(job.options.tenant, priority))
        self._own[job.job_id] = priority
        if job.profile.priority != priority:
            job.profile = self._with(job.profile, priority)
        self._waits += [(job, parent) for parent in waits if self._lifts(priority, parent)]

    def waited_for(self, kept: Collection[str]) -> Lifts:
        """The parents that are to be lifted, by those of the jobs that were made, and to which priority."""
        found: Lifts = {}
        for job, parent in self._waits:
            if job.job_id in kept:
                lifted = parent, job.options.tenant
                found[lifted] = max(found.get(lifted, 0), self._own[job.job_id])
        return found

    def _lifts(self, priority: int, parent: str) -> bool:
        row = self._known.get(parent)
        # One that is high already, and waits for nothing itself, is this transaction's until its end.
        high = row is not None and row["priority"] >= priority and row["status"] != "BLOCKED"
        return priority > self._own[parent] and not high

    def _with(self, profile: Profile, priority: int) -> Profile:
        made = self._profiles.get((id(profile), priority))
        if made is None:
            made = msgspec.structs.replace(profile, priority=priority), profile
            self._profiles[id(profile), priority] = made
        return made[0]


async def bounds(
    database: Database, jobs: Mapping[str, NewJob], parents: Mapping[str, Collection[str]], connection: Connection
) -> dict[str, int]:
    """The highest priorities of tenants, where a new job of one hands its own on to a new job of another: what the
    insert will leave of a parent's is all that its child takes. Within one tenant the insert bounds the child all the
    same, and nothing is asked.
    """
    handed_on = (
        (jobs[parent].options.tenant, jobs[child].options.tenant)
        for child, needs in parents.items()
        for parent in needs
        if parent in jobs
    )
    if not any(tenant is not None and tenant != other for tenant, other in handed_on):
        return {}
    tenants = list({job.options.tenant for job in jobs.values()} - {None})
    rows = await database.fetch("bounded_tenants", tenants, connection=connection)
    return {row["tenant"]: row["max_priority"] for row in rows}


async def lift(database: Database, waited_for: Lifts, connection: Connection) -> list[str]:
    """Lift (locked) jobs, and what they wait for, to the priorities of jobs that wait for them; the ids of all that
    were lifted.
    """
    if not waited_for:
        return []
    parents, tenants = map(list, zip(*waited_for, strict=True))
    return _ids(await database.fetch("lift", parents, list(waited_for.values()), tenants, connection=connection))


async def let_go(database: Database, stopped: Sequence[str], connection: Connection) -> list[str]:
    """Let what these jobs lifted fall back to what it is without them; the ids of all that changed. They must wait no
    more by now, and be locked.
    """
    if not stopped:
        return []
    lifted = _ids(await database.fetch("lifted_parents", stopped, connection=connection))
    return await compute(database, lifted, connection)


async def compute(database: Database, job_ids: Sequence[str], connection: Connection) -> list[str]:
    """Compute the priorities of these jobs, and of what they wait for, anew; the ids of all that changed.

    They are locked first and computed by a second statement: whoever lifts one of them has either committed, and is
    seen, or waits for this transaction's end.
    """
    if not job_ids:
        return []
    locked = _ids(await database.fetch("lock_ancestors", job_ids, connection=connection))
    return _ids(await database.fetch("inherit", locked, connection=connection)) if locked else []


def _ids(rows: Sequence[Row]) -> list[str]:
    return [str(row["job_id"]) for row in rows]
