"""Reading and steering what is there: jobs, dead letters, workers, figures. The command line is a face of this."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure import _validate
from tenure._database import KeyTakenError
from tenure._dependencies import release_dependents
from tenure._engine import NoGeneration
from tenure._questions import Questions
from tenure._stored import result_of, shown_payload, shown_result
from tenure._trees import Trees, waited_for_again
from tenure.errors import DuplicateJob, IllegalTransition, JobNotFound, StoreUnavailable
from tenure.fleet import Fleet
from tenure.job import Execution, JobInfo
from tenure.limits import Limits
from tenure.overview import Overview, look
from tenure.queues import Queues
from tenure.schedules import Schedules
from tenure.supervisors import Supervisors
from tenure.tenants import Tenants
from tenure.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tenure._database import Connection, Database, Row
    from tenure._engine import Engine
    from tenure._publish import Publisher
    from tenure._rebuild import Rebuilder
    from tenure._seal import Seal

STATUSES: Final = ("PENDING", "SCHEDULED", "BLOCKED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED")
_MOST_LISTED: Final = 10_000
_BATCH: Final = 500


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A job that no retry is left for. `reason`: exhausted, poison, dead, invalid, unknown_job_type, deadline, or
    refused for its seal.
    """

    dlq_id: str
    job_id: str
    job_type: str
    queue: str
    priority: int
    attempts: int
    reason: str
    error: str | None
    payload: Any
    tags: list[str]
    created_at: datetime


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry: one incarnation of a worker.

    Attributes:
        running: how many jobs PostgreSQL knows it to run.
        load: the share of its slots that were taken at its last copied beat, from 0.0.
        health_score: from 100 (well) to 0 (wedged), as of then.
        capabilities, resources: what it offers to jobs that require it.
    """

    worker_id: str
    worker_name: str
    worker_type: str
    host: str
    pid: int
    queues: list[str]
    capabilities: list[str]
    resources: dict[str, float]
    labels: dict[str, str]
    concurrency: int
    status: str
    running: int
    load: float
    health_score: int
    version: str | None
    last_heartbeat: datetime
    started_at: datetime | None
    stopped_at: datetime | None


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs of a queue are in each state, and for how many seconds the oldest ready one has waited.

    Attributes:
        laned: ready jobs in lanes, as Redis has them; None where it cannot be asked.
        parked: lanes and tenants that wait for a limit; likewise.
    """

    queue: str
    jobs: dict[str, int]
    oldest_ready_seconds: float | None
    laned: int | None = None
    parked: int | None = None


class Admin:
    """What an operator may ask and do."""

    def __init__(
        self, database: Database, engine: Engine, publisher: Publisher, rebuilder: Rebuilder, seal: Seal | None = None
    ) -> None:
        """Made by an open `Tenure`; `seal` opens what is shown."""
        self._seal = seal
        self._database = database
        self._engine = engine
        self._publisher = publisher
        self.schedules: Final = Schedules(database)
        self.queues: Final = Queues(database, engine, rebuilder)
        self.limits: Final = Limits(database, engine, rebuilder)
        self.tenants: Final = Tenants(database, engine, rebuilder)
        self.questions: Final = Questions(engine)
        self.fleet: Final = Fleet(database, self.questions)
        self.supervisors: Final = Supervisors(engine, self.questions)
        self._trees = Trees(database, engine, publisher)
        self.workflows: Final = Workflows(database, self._trees)

    async def show(self, job_id: str) -> JobInfo:
        """One job's row.

        Raises:
            JobNotFound: there is none.
        """
        rows = await self._database.fetch("show_job", _validate.job_id(job_id))
        if not rows:
            raise JobNotFound(f"no job has this id: {job_id}")
        return _job_info(rows[0], self._seal)

    async def list_jobs(
        self,
        *,
        status: str | None = None,
        queue: str | None = None,
        job_type: str | None = None,
        tag: str | None = None,
        limit: int = 50,
    ) -> list[JobInfo]:
        """Jobs that match, newest first, at most `limit`."""
        if status is not None:
            _validate.choice("status", status, STATUSES)
        _validate.whole("limit", limit, 1, _MOST_LISTED)
        rows = await self._database.fetch("list_jobs", status, queue, job_type, tag, limit)
        return [_job_info(row, self._seal) for row in rows]

    async def executions(self, job_id: str) -> list[Execution]:
        """The audit of a job's attempts, first one first."""
        rows = await self._database.fetch("executions", _validate.job_id(job_id))
        return [msgspec.convert(_plain(row), Execution) for row in rows]

    async def results(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """The results of those of these jobs that completed, by job id, in one statement."""
        rows = await self._database.fetch("results", [_validate.job_id(job_id) for job_id in job_ids])
        return {str(row["job_id"]): result_of(row, self._seal) for row in rows if row["status"] == "COMPLETED"}

    async def cancel(self, job_id: str, *, descendants: bool = False) -> str:
        """Cancel a job: at once where nobody runs it, otherwise its worker is asked; the state it has now.

        Args:
            job_id: of the job.
            descendants: also all that waits for it, whatever its policy, in one transaction. Defaults to no.

        Raises:
            JobNotFound: there is none.
            IllegalTransition: it has ended; with descendants: nothing of it is left to cancel.
        """
        job_id = _validate.job_id(job_id)
        if descendants:
            before = (await self.show(job_id)).status
            if not (changed := await self._trees.cancel([job_id])):
                raise IllegalTransition(f"nothing is left to cancel: {job_id} is {before}")
            return changed.get(job_id, before)
        row, ready, cancelled = await self._database.atomically(lambda own: self._cancel(job_id, own))
        queued: dict[str, list[str]] = defaultdict(list)
        if row["status"] == "CANCELLED":
            queued[row["queue"]].append(job_id)
        for queue, other, _ in cancelled:
            queued[queue].append(other)
        await self._trees.tell_redis(queued, [row] if row["status"] == "PROCESSING" else [])
        await self._publisher.requeue_ids(ready)
        return str(row["status"])

    async def _cancel(self, job_id: str, connection: Connection) -> tuple[Row, list[str], list[tuple[str, str, int]]]:
        rows = await self._database.fetch("cancel", job_id, connection=connection)
        if not rows:
            raise JobNotFound(f"no job has this id: {job_id}")
        row = rows[0]
        if row["queue"] is None:
            raise IllegalTransition(f"a job that has ended cannot be cancelled: {job_id} is {row['old_status']}")
        ended = [(job_id, "CANCELLED")] if row["has_dependents"] and row["status"] == "CANCELLED" else []
        stopped = [job_id] if row["old_status"] == "BLOCKED" else []
        return row, *(await release_dependents(self._database, ended, connection, stopped))

    async def retry(self, job_id: str, *, descendants: bool = False) -> str:
        """Make a scheduled, dead or cancelled job ready at once; its old state. Its attempts start again, its fence
        goes on.

        Args:
            job_id: of the job.
            descendants: also bring back all that depends on it and failed or was cancelled, in one transaction; each
                waits again for what comes back with it. Defaults to no.

        Raises:
            JobNotFound: there is none.
            IllegalTransition: it is ready, running, blocked or completed; with descendants: nothing of it is to be
                brought back.
            DuplicateJob: another job has its unique key by now.
        """
        job_id = _validate.job_id(job_id)
        if descendants:
            before = (await self.show(job_id)).status
            if not await self._trees.retry([job_id]):
                raise IllegalTransition(f"nothing is to be brought back: {job_id} is {before}")
            return before
        try:
            row, changed = await self._database.atomically(lambda own: self._retry(job_id, own))
        except KeyTakenError as error:
            [row] = await self._database.fetch("unique_key_rival", job_id)
            raise DuplicateJob(row["unique_key"], str(row["holder"])) from error
        if row["old_status"] == "FAILED":
            await self._forget_dead(row["queue"], [job_id])
        await self._publisher.requeue_ids([job_id, *changed])
        return str(row["old_status"])

    async def _retry(self, job_id: str, connection: Connection) -> tuple[Row, list[str]]:
        rows = await self._database.fetch("retry_now", job_id, connection=connection)
        if not rows:
            raise JobNotFound(f"no job has this id: {job_id}")
        [row] = rows
        if row["queue"] is None:
            raise IllegalTransition(
                f"only a scheduled, dead or cancelled job can be retried: {job_id} is {row['old_status']}"
            )
        again = [job_id] if row["has_dependents"] and row["old_status"] != "SCHEDULED" else []
        return row, await waited_for_again(self._database, again, connection)

    async def dead_letters(
        self, *, queue: str | None = None, job_type: str | None = None, limit: int = 50
    ) -> list[DeadLetter]:
        """Dead letters that match, newest first, at most `limit`."""
        _validate.whole("limit", limit, 1, _MOST_LISTED)
        rows = await self._database.fetch("list_dead_letters", queue, job_type, limit)
        return [_dead_letter(row, self._seal) for row in rows]

    async def dead_letter(self, job_id: str) -> DeadLetter:
        """One dead letter, by its job's id.

        Raises:
            JobNotFound: the job has none.
        """
        rows = await self._database.fetch("show_dead_letter", _validate.job_id(job_id))
        if not rows:
            raise JobNotFound(f"no dead letter has this job id: {job_id}")
        return _dead_letter(rows[0], self._seal)

    async def requeue_dead_letters(
        self, *, job_ids: Sequence[str] | None = None, queue: str | None = None, job_type: str | None = None
    ) -> int:
        """Make dead letters ready again, all that match or the jobs named, in batches; how many. Those whose unique key
        another job has by now stay.
        """
        total = 0
        async for rows, changed in self._dead_in_batches("requeue_dead_letters", job_ids, queue, job_type):
            await self._publisher.requeue_ids([*(str(row["job_id"]) for row in rows), *changed])
            total += len(rows)
        return total

    async def purge_dead_letters(
        self, *, job_ids: Sequence[str] | None = None, queue: str | None = None, job_type: str | None = None
    ) -> int:
        """Delete dead letters, all that match or the jobs named, in batches; how many. The jobs and their audit
        stay.
        """
        return sum(
            [len(rows) async for rows, _ in self._dead_in_batches("purge_dead_letters", job_ids, queue, job_type)]
        )

    async def _dead_in_batches(
        self, statement: str, job_ids: Sequence[str] | None, queue: str | None, job_type: str | None
    ) -> AsyncIterator[tuple[list[Row], list[str]]]:
        """Run a statement on the dead letters that match until none is left of those there are now: a job that dies
        again at once is not taken twice. What it returns, and the ids of those whose priorities changed with it.
        """
        ids = None if job_ids is None else [_validate.job_id(job_id) for job_id in job_ids]
        newest = await self._database.fetch("list_dead_letters", queue, job_type, 1)
        if not newest:
            return
        until = newest[0]["created_at"]

        async def batch(connection: Connection) -> tuple[list[Row], list[str]]:
            rows = await self._database.fetch(statement, ids, queue, job_type, _BATCH, until, connection=connection)
            again = [str(row["job_id"]) for row in rows if row.get("has_dependents")]
            return rows, await waited_for_again(self._database, again, connection)

        while (found := await self._database.atomically(batch))[0]:
            rows, changed = found
            for name in {row["queue"] for row in rows}:
                await self._forget_dead(name, [str(row["job_id"]) for row in rows if row["queue"] == name])
            yield rows, changed

    async def workers(self, *, live_only: bool = True) -> list[WorkerInfo]:
        """The registry, newest first."""
        rows = await self._database.fetch("list_workers", live_only)
        return [
            msgspec.convert(
                {**_plain(row), **{name: msgspec.json.decode(row[name]) for name in ("labels", "resources")}},
                WorkerInfo,
            )
            for row in rows
        ]

    async def stats(self) -> list[QueueStats]:
        """Every queue's jobs by state, all in one snapshot of PostgreSQL, and its lanes in Redis."""
        by_queue: dict[str, dict[str, int]] = {}
        oldest: dict[str, float | None] = {}
        for row in await self._database.fetch("stats"):
            by_queue.setdefault(row["queue"], dict.fromkeys(STATUSES, 0))[row["status"]] = row["jobs"]
            if row["status"] == "PENDING":
                oldest[row["queue"]] = row["oldest_seconds"]
        found = []
        for queue, jobs in by_queue.items():
            laned, parked = await self._lane_depths(queue)
            found.append(
                QueueStats(queue=queue, jobs=jobs, oldest_ready_seconds=oldest.get(queue), laned=laned, parked=parked)
            )
        return found

    async def _lane_depths(self, queue: str) -> tuple[int | None, int | None]:
        try:
            depths = await self._engine.depths(queue)
        except (NoGeneration, StoreUnavailable, ValueError):
            return None, None  # the last one for a row whose queue no library would have written
        return depths.laned, depths.parked

    async def overview(self, seconds: float = 10.0) -> Overview:
        """Queues, workers, rates and latencies now; rates and latencies over the last `seconds`, at most 3,600, and of
        no more than the latest 10,000 attempts.
        """
        return await look(self._database, self._engine, await self.workers(), seconds)

    async def _forget_dead(self, queue: str, job_ids: list[str]) -> None:
        try:
            await self._engine.forget_dead(queue, job_ids)
        except (NoGeneration, StoreUnavailable):
            return  # an entry that stays behind is only counted, never run


def _plain(row: Row) -> dict[str, Any]:
    """A row with ids as text, as everywhere outside PostgreSQL."""
    return {key: str(value) if key.endswith("_id") and value is not None else value for key, value in row.items()}


def _job_info(row: Row, seal: Seal | None) -> JobInfo:
    values = _plain(row)
    values["payload"] = shown_payload(row, values["job_id"], seal)
    values["result"] = shown_result(row, seal)
    # Rows may be written by others than this library: what no caller can give is left out, and hides no other job.
    metadata = json.loads(row["metadata"])
    values["metadata"] = metadata if isinstance(metadata, dict) else {}
    values["tags"] = [tag for tag in row["tags"] if isinstance(tag, str)]
    values["timeout"] = None if row["timeout_ms"] is None else row["timeout_ms"] / 1000
    values["cost"] = 1.0 if row["cost"] is None else row["cost"] / 1000
    return msgspec.convert(values, JobInfo)


def _dead_letter(row: Row, seal: Seal | None) -> DeadLetter:
    values = _plain(row)
    values["payload"] = shown_payload(row, values["job_id"], seal)
    return msgspec.convert(values, DeadLetter)
