"""A job as its enqueuer holds it."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tenure.app import Tenure


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the audit: one attempt under one fence; `duration_ms` by the worker's monotonic clock."""

    execution_id: str
    worker_id: str | None
    fence: int
    attempt: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    duration_ms: float | None
    error: str | None


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row, read once. Times are UTC; `timeout` in seconds; `payload` and `result` decoded; `requires` as
    `gpu,region:eu;cpu=2`. `own_priority` is there while a job that waits for this one lifts it above its own.
    """

    job_id: str
    job_type: str
    queue: str
    status: str
    priority: int
    own_priority: int | None
    workflow_id: str | None
    attempts: int
    max_retries: int
    crashes: int
    fence: int
    timeout: float | None
    run_at: datetime
    expires_at: datetime | None
    deadline_at: datetime | None
    snoozes: int | None
    idempotency_key: str | None
    unique_key: str | None
    tenant: str | None
    requires: str | None
    limit_key: str | None
    cost: float
    worker_id: str | None
    pending_dependencies: int
    cancel_requested_at: datetime | None
    progress: float | None
    progress_note: str | None
    payload: Any
    result: Any
    error: str | None
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class Job:
    """A handle on an enqueued job.

    Attributes:
        id: 36 characters, a UUIDv7.
        job_type: the registered name.
        queue: the queue it is in.
        created: False where an idempotency key or a unique key named a job that was there before.
        conflict: what became of the job that had the unique key: `kept`, `replaced` or `extended`; None if none had it.
    """

    __slots__ = ("_app", "conflict", "created", "id", "job_type", "queue")

    def __init__(
        self,
        app: Tenure,
        job_id: str,
        job_type: str,
        queue: str,
        *,
        created: bool = True,
        conflict: str | None = None,
    ) -> None:
        """Made by enqueue and by `Tenure.job_handle`."""
        self._app = app
        self.id = job_id
        self.job_type = job_type
        self.queue = queue
        self.created = created
        self.conflict = conflict

    @property
    def existing(self) -> bool:
        """Whether the job was there before this call."""
        return not self.created

    def __repr__(self) -> str:
        """Name the job."""
        return f"Job({self.id!r}, job_type={self.job_type!r}, queue={self.queue!r})"

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the handler's; part of the API
        """Wait for the end and return the handler's result.

        Args:
            timeout: seconds. Defaults to waiting for ever.

        Raises:
            JobFailed: it is in the dead letter queue.
            JobCancelled: it was cancelled.
            ResultTimeout: it has not ended in time.
        """
        return await self._app.wait_result(self, timeout)

    async def info(self) -> JobInfo:
        """The job's row as it is now."""
        return await self._app.admin.show(self.id)

    async def status(self) -> str:
        """The job's state as it is now."""
        return (await self.info()).status

    async def executions(self) -> list[Execution]:
        """The audit of its attempts, first one first."""
        return await self._app.admin.executions(self.id)

    async def cancel(self, *, descendants: bool = False) -> str:
        """Cancel it: at once where nobody runs it, otherwise its handler is cancelled; the state it has now.

        Args:
            descendants: also all that waits for it, whatever its policy, in one transaction. Defaults to no.

        Raises:
            IllegalTransition: it has ended; with descendants: nothing of it is left to cancel.
        """
        return await self._app.admin.cancel(self.id, descendants=descendants)

    async def retry(self, *, descendants: bool = False) -> str:
        """Make it ready at once if it waits for a time, failed or was cancelled; the state it had.

        Args:
            descendants: also bring back all that depends on it and failed or was cancelled, in one transaction; each
                waits again for what comes back with it. Defaults to no.

        Raises:
            IllegalTransition: it is ready, running, blocked or completed; with descendants: nothing of it is to be
                brought back.
            DuplicateJob: another job has its unique key by now.
        """
        return await self._app.admin.retry(self.id, descendants=descendants)
