"""What becomes of calls whose unique key another job has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._new_job import NewJob
from tenure._priorities import compute
from tenure.errors import Backpressure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenure._database import Connection, Database, Row
    from tenure._seal import Seal
    from tenure.unique import Unique

_TRIES: Final = 5

# A holder's id, type and queue, and what became of it: kept, replaced, extended, refused; None for a job of one's own.
Outcome = tuple[str, str, str, str | None]


def in_lock_order(jobs: Sequence[NewJob]) -> Sequence[NewJob]:
    """The jobs by unique key, so that no two batches wait for each other; of one key the first call stays first."""
    if any(job.unique_key for job in jobs):
        return sorted(jobs, key=_key)
    return jobs


def _key(job: NewJob) -> str:
    return job.unique_key or ""


class Conflicts:
    """Settles calls whose key was taken when they were inserted.

    Who has a key is read by a statement of its own, with a newer snapshot than the insert's, and may have let go of it
    meanwhile: then the call is inserted after all.
    """

    def __init__(
        self,
        database: Database,
        insert: Callable[[Sequence[NewJob], Connection], Awaitable[set[str]]],
        seal: Seal | None,
        moved: Callable[[Connection, list[str]], None],
    ) -> None:
        """Prepare. `insert` is given new jobs and returns the ids of those it made; `moved` is given the ids of those
        whose priorities change with the transaction.
        """
        self._database = database
        self._insert = insert
        self._seal = seal
        self._moved = moved

    async def settle(self, jobs: Sequence[NewJob], connection: Connection) -> dict[str, Outcome]:
        """What became of each of these jobs, by its id; in the caller's transaction.

        Raises:
            Backpressure: others took and left the keys again and again.
        """
        outcomes: dict[str, Outcome] = {}
        left = list(in_lock_order(jobs))
        for _ in range(_TRIES):
            again = await self._look(left, outcomes, connection)
            if not again:
                return outcomes
            made = await self._insert(again, connection)
            outcomes |= {job.job_id: (*_names(job), None) for job in again if job.job_id in made}
            left = [job for job in again if job.job_id not in made]
            if not left:
                return outcomes
        raise Backpressure(f"others took and left the unique key {_TRIES} times in a row: {left[0].unique_key}")

    async def _look(self, jobs: list[NewJob], outcomes: dict[str, Outcome], connection: Connection) -> list[NewJob]:
        """Settle the calls whose key has a holder; those that may be inserted now."""
        windows = [_rare(job) for job in jobs]
        holders = await self._database.fetch(
            "unique_holders",
            [job.unique_key for job in jobs],
            [rare.get("window_ms") for rare in windows],
            [rare.get("windows_ahead", 0) for rare in windows],
            connection=connection,
        )
        again: list[NewJob] = []
        over: set[str] = set()
        changing: dict[str, list[tuple[NewJob, Row]]] = {}
        for job, row in zip(jobs, holders, strict=True):
            unique = _rule(job)
            if row["job_id"] is None or row["over"]:
                over |= {row["job_id"]} - {None}
                again.append(job)
            elif str(row["job_id"]) == job.job_id:
                outcomes[job.job_id] = (*_names(job), None)  # an earlier try made it, whose answer was lost
            elif unique.on_conflict == "later" and not _rare(job)["windows_ahead"]:
                again.append(_for_next_window(job))
            elif unique.changes and row["waits"] and row["mode"] == "before":
                changing.setdefault(str(row["job_id"]), []).append((job, row))
            else:
                outcomes[job.job_id] = _held(row, "refused" if unique.on_conflict == "refuse" else "kept")
        if over:
            await self._database.fetch("release_unique_keys", sorted(over), connection=connection)
        return again + await self._change(changing, outcomes, connection)

    async def _change(
        self,
        changing: dict[str, list[tuple[NewJob, Row]]],
        outcomes: dict[str, Outcome],
        connection: Connection,
    ) -> list[NewJob]:
        """Replace or extend jobs that wait; the calls whose job waits no more, to be looked at again."""
        if not changing:
            return []
        rows = [self._columns(*calls[-1]) for calls in changing.values()]  # of several calls the last one wins
        changed = await self._database.fetch(
            "replace_unique", *map(list, zip(*rows, strict=True)), connection=connection
        )
        ids = {str(row["job_id"]) for row in changed}
        moved = await compute(self._database, [str(row["job_id"]) for row in changed if row["inherits"]], connection)
        if moved:
            self._moved(connection, moved)
        again: list[NewJob] = []
        for holder, calls in changing.items():
            for job, row in calls:
                if holder in ids:
                    extended = _rule(job).on_conflict == "extend"
                    outcomes[job.job_id] = _held(row, "extended" if extended else "replaced")
                else:
                    again.append(job)
        return again

    def _columns(self, job: NewJob, row: Row) -> tuple[Any, ...]:
        """A call as a row of `replace_unique.sql`. What is sealed is sealed for the job that runs it."""
        profile, payload = job.profile, job.plain
        holder = str(row["job_id"])
        if self._seal is not None:
            place = msgspec.structs.replace(profile, queue=row["queue"], mode=row["mode"])
            sealed = NewJob(holder, payload, place, job.options)
            self._seal.seal_jobs([sealed])
            payload = sealed.payload
        unique = _rule(job)
        return (
            holder,
            row["unique_key"],
            unique.on_conflict == "replace",
            payload,
            profile.payload_format,
            profile.priority,
            profile.max_retries,
            profile.timeout_ms,
            profile.tags,
            profile.metadata,
            profile.run_at,
            profile.delay_ms,
            unique.milliseconds("at_most"),
            profile.rare,
        )


def _rule(job: NewJob) -> Unique:
    if job.options.unique is None:
        raise AssertionError("only jobs with a unique key are settled here")
    return job.options.unique


def _rare(job: NewJob) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(job.profile.rare or "{}")
    return found


def _for_next_window(job: NewJob) -> NewJob:
    """The same call, for the window after this one."""
    rare = msgspec.json.encode(_rare(job) | {"windows_ahead": 1}).decode()
    job.profile = msgspec.structs.replace(job.profile, rare=rare)
    return job


def _names(job: NewJob) -> tuple[str, str, str]:
    return job.job_id, job.profile.job_type, job.profile.queue


def _held(row: Row, conflict: str) -> Outcome:
    return str(row["job_id"]), row["job_type"], row["queue"], conflict
