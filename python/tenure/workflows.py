"""Looking at workflows and steering them; `Tenure.workflow` makes them."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from tenure import _validate
from tenure.errors import WorkflowNotFound

if TYPE_CHECKING:
    from tenure._database import Database, Row
    from tenure._trees import Trees

_MOST_LISTED: Final = 1000
_LIVE: Final = ("PENDING", "SCHEDULED", "PROCESSING")

Status = Literal["RUNNING", "HELD", "COMPLETED", "FAILED", "CANCELLED"]


class WorkflowState(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as it is now, counted in one statement.

    Attributes:
        status: `RUNNING`, while a job, or one that it waits for, can go on; `HELD`, if those that are left wait for
            jobs that ended badly; `FAILED` or `CANCELLED`, if all have ended and at least one so; `COMPLETED`.
        jobs: how many are in each state, without the callback's.
        callback_status: the state of the job that is told of the end; None if there is none.
    """

    workflow_id: str
    name: str | None
    status: Status
    jobs: dict[str, int]
    callback_job_id: str | None
    callback_status: str | None
    deadline_at: datetime | None
    created_at: datetime

    @property
    def total(self) -> int:
        """How many jobs it has, without the callback."""
        return sum(self.jobs.values())


class Workflows:
    """What an operator may do. Verbs on one workflow raise `WorkflowNotFound` where none has the id."""

    def __init__(self, database: Database, trees: Trees) -> None:
        """Made by `Admin`."""
        self._database = database
        self._trees = trees

    async def list(self, *, name: str | None = None, limit: int = 50) -> list[WorkflowState]:
        """The latest, newest first."""
        _validate.whole("limit", limit, 1, _MOST_LISTED)
        return [state_of(row) for row in await self._database.fetch("list_workflows", None, name, limit)]

    async def show(self, workflow_id: str) -> WorkflowState:
        """One of them."""
        workflow_id = _validate.job_id(workflow_id, "workflow_id")
        rows = await self._database.fetch("list_workflows", [workflow_id], None, 1)
        if not rows:
            raise WorkflowNotFound(f"no workflow has this id: {workflow_id}")
        return state_of(rows[0])

    async def cancel(self, workflow_id: str) -> dict[str, str]:
        """Cancel all its jobs that have not ended, in one transaction; the state that each of them has now. Those that
        run are asked to stop. Its callback is not cancelled: it is told of this end too.
        """
        found = await self.show(workflow_id)
        return await self._trees.cancel([], found.workflow_id)

    async def retry(self, workflow_id: str) -> dict[str, str]:
        """Bring all its jobs that failed or were cancelled back to life, in one transaction; the state that each of
        them has now. Completed ones stay, and a job waits again for those of its parents that come back with it.
        """
        found = await self.show(workflow_id)
        return await self._trees.retry([], found.workflow_id)


def state_of(row: Row) -> WorkflowState:
    """A row of `list_workflows.sql`."""
    jobs: dict[str, int] = msgspec.json.decode(row["jobs"] or "{}", type=dict[str, int])
    callback: Any = row["callback_job_id"]
    return WorkflowState(
        workflow_id=str(row["workflow_id"]),
        name=row["name"],
        status="RUNNING" if row["waits_for_others"] else _status(jobs),
        jobs=jobs,
        callback_job_id=None if callback is None else str(callback),
        callback_status=row["callback_status"],
        deadline_at=row["deadline_at"],
        created_at=row["created_at"],
    )


def _status(jobs: dict[str, int]) -> Status:
    if any(jobs.get(status) for status in _LIVE):
        return "RUNNING"
    if jobs.get("BLOCKED"):
        return "HELD"
    if jobs.get("FAILED"):
        return "FAILED"
    return "CANCELLED" if jobs.get("CANCELLED") else "COMPLETED"
