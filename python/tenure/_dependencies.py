"""Jobs that wait for jobs: checking the edges at enqueue, releasing dependents when a job ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

from tenure import _validate
from tenure._outcomes import Enqueued, refuse, refuses
from tenure._priorities import Heights, bounds, let_go, lift
from tenure.errors import Backpressure, DependencyCycle, InvalidInput, UnknownDependency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database, Row
    from tenure._enqueue import Enqueuer
    from tenure._new_job import NewJob
    from tenure.job import Job

_MOST_PARENTS: Final = 10_000
_TRIES: Final = 5
_ENDED_BADLY: Final = ("FAILED", "CANCELLED")

# By job id: what it waits for, and what a bad end of that is to it: hold, cancel or run.
Edges = Mapping[str, Mapping[str, str]]


def parents_of(depends_on: Iterable[Job | str]) -> list[str]:
    """The ids in a `depends_on`, each once."""
    if isinstance(depends_on, str) or not isinstance(depends_on, Iterable):
        raise InvalidInput("depends_on", "a list of jobs or job ids", depends_on)
    ids = dict.fromkeys(
        _validate.job_id(parent if isinstance(parent, str) else getattr(parent, "id", parent), "depends_on")
        for parent in depends_on
    )
    if len(ids) > _MOST_PARENTS:
        raise InvalidInput("depends_on", f"at most {_MOST_PARENTS} jobs", len(ids))
    return list(ids)


def parents_first(jobs: Sequence[NewJob], parents: Edges) -> list[NewJob]:
    """The batch in an order in which no job comes before one it waits for.

    Raises:
        DependencyCycle: there is none. Jobs that exist already cannot wait for new ones, so no other cycle is possible.
        InvalidInput: one waits for a unique job of the batch, whose place another job may have by then.
    """
    own = {job.job_id: job for job in jobs}
    for job_id in own.keys() & {parent for needs in parents.values() for parent in needs}:
        if own[job_id].unique_key:
            raise InvalidInput("unique", "absent where others of the same call wait for the job", job_id)
    graph = {job_id: own.keys() & parents.get(job_id, ()) for job_id in own}
    try:
        return [own[job_id] for job_id in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise DependencyCycle("depends_on", "free of cycles", " -> ".join(error.args[1])) from error


async def enqueue_dependents(
    database: Database,
    enqueuer: Enqueuer,
    jobs: Sequence[NewJob],
    parents: Edges,
    connection: Connection,
) -> tuple[list[Enqueued], list[str]]:
    """Insert jobs and their edges inside one transaction; what became of each, in the order of `jobs`, and the ids of
    the jobs that they lift.

    Jobs that exist already, by id or idempotency key, are found first: a child of one waits for the job that is there.
    Then the parents are locked: one that is being settled either has ended when its status is read here, or finds the
    new edges when it goes on.

    Args:
        database: where the statements are.
        enqueuer: inserts the rows.
        jobs: the new jobs.
        parents: the edges; new jobs of the same batch may be parents too.
        connection: inside a transaction.

    Raises:
        UnknownDependency: a parent neither exists nor is part of the batch.
        DependencyCycle: the jobs wait for one another.
        Backpressure: other callers took the idempotency keys of parents again and again.
    """
    for _ in range(_TRIES):
        known = await _existing(database, jobs, parents, connection)
        new = [job for job in jobs if job.job_id not in known]
        waits = {
            job.job_id: {known[one].job_id if one in known else one: policy for one, policy in needs.items()}
            for job in new
            if (needs := parents.get(job.job_id))
        }
        new = parents_first(new, waits)
        # Only where a parent's key may be taken meanwhile is a savepoint worth its two round trips.
        at_stake = {parent for needs in waits.values() for parent in needs}
        raced = any((job.options.idempotency_key and job.job_id in at_stake) or refuses(job) for job in new)
        try:
            async with connection.transaction() if raced else nullcontext():
                enqueued, lifted = await _insert(database, enqueuer, new, waits, connection)
                refuse(new, enqueued)
        except _KeyTakenError:
            continue
        outcome = known | dict(zip((job.job_id for job in new), enqueued, strict=True))
        return [outcome[job.job_id] for job in jobs], lifted
    raise Backpressure(f"others took the idempotency keys of parents {_TRIES} times in a row")


class _KeyTakenError(Exception):
    """Somebody took the key of a parent after it was looked up."""


async def _existing(
    database: Database, jobs: Sequence[NewJob], parents: Edges, connection: Connection
) -> dict[str, Enqueued]:
    """What is there already of a batch, by the id that the batch gives it: rows, and earlier jobs of the batch."""
    own = {job.job_id for job in jobs}
    ids = list(own & {parent for needs in parents.values() for parent in needs})
    keys = [key for job in jobs if (key := job.options.idempotency_key)]
    if not ids and not keys:
        return {}
    rows = await database.fetch("existing", ids, keys, connection=connection)
    by_id = {str(row["job_id"]): row for row in rows}
    by_key = {row["idempotency_key"]: row for row in rows if row["idempotency_key"]}
    known: dict[str, Enqueued] = {}
    first: dict[str, NewJob] = {}
    for job in jobs:
        key = job.options.idempotency_key
        if (row := by_id.get(job.job_id) or (by_key.get(key) if key else None)) is not None:
            same = str(row["job_id"]) == job.job_id
            known[job.job_id] = Enqueued(str(row["job_id"]), row["job_type"], row["queue"], created=same)
        elif key and (earlier := first.setdefault(key, job)) is not job:
            known[job.job_id] = Enqueued(earlier.job_id, earlier.profile.job_type, earlier.profile.queue, created=False)
    return known


async def _insert(
    database: Database, enqueuer: Enqueuer, jobs: Sequence[NewJob], parents: Edges, connection: Connection
) -> tuple[list[Enqueued], list[str]]:
    """Insert new jobs, parents first, and their edges; what became of them, and the ids of the jobs they lift."""
    own = {job.job_id: job for job in jobs}
    for job in jobs:
        # This may be the second try, after a deadlock.
        job.pending_dependencies, job.has_dependents, job.cancelled = 0, False, False
    outside = sorted({parent for needs in parents.values() for parent in needs if parent not in own})
    highest = max((job.options.priority for job in jobs), default=1)
    known = await _lock(database, outside, highest, connection)
    heights = Heights(known, await bounds(database, own, parents, connection))
    rows: list[tuple[str, str, str, bool]] = []
    for job in jobs:
        waits = []
        for parent, policy in parents.get(job.job_id, {}).items():
            if parent in own:
                own[parent].has_dependents = True
                status = "CANCELLED" if own[parent].cancelled else "PENDING"
            else:
                status = known[parent]["status"]
            satisfied = status == "COMPLETED" or (policy == "run" and status in _ENDED_BADLY)
            job.cancelled |= policy == "cancel" and status in _ENDED_BADLY
            if not satisfied:
                waits.append(parent)
            rows.append((job.job_id, parent, policy, satisfied))
        job.pending_dependencies = len(waits)
        heights.enter(job, parents.get(job.job_id, ()), () if job.cancelled else waits)
    enqueued = await enqueuer.insert(jobs, connection, with_edges=True) if jobs else []
    kept = {one.job_id for one in enqueued if one.created}
    if any(job.has_dependents and job.job_id not in kept for job in jobs):
        raise _KeyTakenError
    if edges := [row for row in rows if row[0] in kept]:
        await database.fetch("insert_dependencies", *map(list, zip(*edges, strict=True)), connection=connection)
    return enqueued, await lift(database, heights.waited_for(kept), connection)


async def _lock(database: Database, job_ids: list[str], highest: int, connection: Connection) -> dict[str, Row]:
    """Lock parents, with what their children of up to this priority may lift, and mark those that had no dependents
    yet; their rows by id.
    """
    if not job_ids:
        return {}
    rows = await database.fetch("lock_parents", job_ids, highest, connection=connection)
    known = {str(row["job_id"]): row for row in rows}
    for job_id in job_ids:
        if job_id not in known:
            raise UnknownDependency("depends_on", "an existing job", job_id)
    unmarked = [job_id for job_id, row in known.items() if not row["has_dependents"]]
    if unmarked:
        await database.fetch("mark_parents", unmarked, connection=connection)
    return known


async def release_dependents(
    database: Database, ended: list[tuple[str, str]], connection: Connection, stopped: Sequence[str] = ()
) -> tuple[list[str], list[tuple[str, str, int]]]:
    """Tell dependents of the jobs that ended, cascading through cancellations; what those that were cancelled while
    they waited had lifted falls back.

    Args:
        database: where the statement is.
        ended: job id and final state of jobs that have dependents.
        connection: the transaction that ended them.
        stopped: ids of jobs among those that ended that were waiting themselves. Defaults to none.

    Returns:
        The ids of the jobs that are to be pushed, ready or scheduled now or with another priority, and
        (queue, id, fence) of those cancelled with a parent.
    """
    ready: list[str] = []
    cancelled: list[tuple[str, str, int]] = []
    while ended:
        columns = map(list, zip(*ended, strict=True))
        rows = await database.fetch("release_dependents", *columns, connection=connection)
        ready += [str(row["job_id"]) for row in rows if row["status"] != "CANCELLED"]
        cancelled += [(row["queue"], str(row["job_id"]), row["fence"]) for row in rows if row["status"] == "CANCELLED"]
        ended = [
            (str(row["job_id"]), "CANCELLED") for row in rows if row["status"] == "CANCELLED" and row["has_dependents"]
        ]
    ready += await let_go(database, [*stopped, *(job_id for _, job_id, _ in cancelled)], connection)
    return ready, cancelled
