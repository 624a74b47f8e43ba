"""Workflows: graphs of jobs of any shape, enqueued in one call and one transaction.

    flow = app.workflow("order")
    paid = flow.add(charge.request(17))                      # a Handle[Receipt]
    sent = flow.add(ship.request(17, receipt=paid), on_failure="cancel")
    flow.on_complete(report.request(flow))
    order = await flow.enqueue()
    print(await order.result(sent, timeout=60))

A handle that is given as an argument, alone or inside lists and dicts, is where the result of its job goes, and makes
the one job wait for the other. The flow itself as an argument is where its `WorkflowState` goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

import msgspec

from tenure import _validate
from tenure._dependencies import parents_of
from tenure._engine import new_ids
from tenure._graph import WorkflowRow, insert_graph
from tenure._new_job import prepare
from tenure._references import FIELD, Reference
from tenure.errors import IllegalTransition, InvalidInput, ResultTimeout
from tenure.job import Job
from tenure.job_type import ON_FAILURE, JobRequest
from tenure.workflows import WorkflowState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime, timedelta

    from tenure._new_job import NewJob, Profile
    from tenure._stores import Stores
    from tenure.app import Tenure
    from tenure.job_type import OnFailure

__all__ = ["Flow", "Handle", "Workflow", "WorkflowState"]

T = TypeVar("T")

_MOST_JOBS: Final = 100_000
_LOOK: Final = 1.0  # seconds between two looks of somebody who waits, where no message comes

After = Iterable["Handle[Any] | Job | str"] | Mapping["Handle[Any] | Job | str", "OnFailure"]


class Handle(Generic[T]):
    """A job of a flow, before it is enqueued and after; `T` is what its handler returns.

    Attributes:
        job_id: the id that the job has, or will have.
    """

    __slots__ = ("_flow", "job_id")

    def __init__(self, flow: Flow, job_id: str) -> None:
        """Made by `Flow.add`."""
        self._flow = flow
        self.job_id = job_id

    def __repr__(self) -> str:
        """Name the job."""
        return f"Handle({self.job_id!r})"

    def belongs_to(self, flow: Flow) -> bool:
        """Whether it is a job of this flow."""
        return self._flow is flow


class Flow:
    """A workflow in the making. Nothing is written before `enqueue`."""

    def __init__(
        self,
        app: Tenure,
        stores: Callable[[], Stores],
        name: str | None,
        *,
        on_failure: OnFailure,
        deadline_in: float | timedelta | None,
        deadline_at: datetime | None,
    ) -> None:
        """Made by `Tenure.workflow`, which documents the parameters."""
        self._app = app
        self._stores = stores
        self.id: Final = new_ids(1)[0]
        self.name: Final = None if name is None else _validate.text("name", name, 255)
        _validate.choice("on_failure", on_failure, ON_FAILURE)
        self._on_failure = on_failure
        if deadline_in is not None and deadline_at is not None:
            raise InvalidInput("deadline_in", "absent where deadline_at is given", deadline_in)
        self._deadline_ms = None if deadline_in is None else _validate.span("deadline_in", deadline_in)
        self._deadline_at = None if deadline_at is None else _validate.moment("deadline_at", deadline_at)
        self._requests: dict[str, JobRequest[Any]] = {}
        self._edges: dict[str, dict[str, str]] = {}
        self._callback: str | None = None
        self._enqueued = False

    @overload
    def add(
        self, request: JobRequest[Coroutine[Any, Any, T]], *, after: After = (), on_failure: OnFailure | None = None
    ) -> Handle[T]: ...

    @overload
    def add(self, request: JobRequest[T], *, after: After = (), on_failure: OnFailure | None = None) -> Handle[T]: ...

    def add(self, request: JobRequest[Any], *, after: After = (), on_failure: OnFailure | None = None) -> Handle[Any]:
        """Add a job.

        Args:
            request: made by `JobType.request`; its arguments may hold handles, whose jobs it then waits for.
            after: handles, jobs or job ids that it waits for too; a mapping gives each edge a policy of its own.
            on_failure: what the bad end of one of them means to it, where `after` does not say: `hold`, `cancel` or
                `run`. Defaults to the workflow's.

        Raises:
            InvalidInput: a handle is of another flow, or the job is one that another job may take the place of.
        """
        if len(self._requests) >= _MOST_JOBS:
            raise InvalidInput("workflow", f"of at most {_MOST_JOBS} jobs", len(self._requests) + 1)
        policy = str(self._on_failure if on_failure is None else _validate.choice("on_failure", on_failure, ON_FAILURE))
        options = request.options
        for field in ("idempotency_key", "unique", "connection"):
            if getattr(options, field) is not None:
                raise InvalidInput(field, "absent in a workflow", request.job_type)
        job_id = request.job_id or new_ids(1)[0]
        if job_id in self._requests:
            raise InvalidInput("job_id", "given to one request of a workflow", job_id)
        edges: dict[str, str] = dict.fromkeys(parents_of(options.depends_on or ()), options.on_failure)
        request, parents = self._with_references(request)
        edges |= dict.fromkeys(parents, policy)
        if isinstance(after, Mapping):
            policies = [_validate.choice("on_failure", one, ON_FAILURE) for one in after.values()]
            edges |= dict(zip(self._ids(after), policies, strict=True))
        else:
            edges |= dict.fromkeys(self._ids(after), policy)
        self._requests[job_id] = request
        self._edges[job_id] = edges
        return Handle(self, job_id)

    def on_complete(self, request: JobRequest[Any]) -> Handle[Any]:
        """Add a job that runs once when all others have ended, whatever became of them, and after a cancellation of the
        workflow too; it is not counted among them, and the workflow's deadline is not its own.
        """
        if self._callback is not None:
            raise InvalidInput("on_complete", "given once", request.job_type)
        handle = self.add(request, on_failure="run")
        self._callback = handle.job_id
        return handle

    async def enqueue(self, connection: Any = None) -> Workflow:
        """Enqueue all of it, or nothing: when this returns it is committed, or part of the caller's transaction. After
        an unknown outcome it may be called again, and changes nothing that was written.

        Args:
            connection: an asyncpg connection whose transaction the jobs join. Defaults to one of tenure's own.

        Raises:
            InvalidInput: nothing was written; the message names what is refused.
            IllegalTransition: it is enqueued already.
        """
        if self._enqueued:
            raise IllegalTransition(f"a workflow is enqueued once: {self.id}")
        members = [job_id for job_id in self._requests if job_id != self._callback]
        if not members:
            raise InvalidInput("workflow", "of at least one job", self.name)
        stores = self._stores()
        jobs = self._prepared()
        edges: dict[str, dict[str, str]] = {job_id: needs for job_id, needs in self._edges.items() if needs}
        if self._callback is not None:
            edges[self._callback] = edges.get(self._callback, {}) | dict.fromkeys(members, "run")
        row = WorkflowRow(self.id, self.name, len(members), self._callback, self._deadline_at, self._deadline_ms)
        enqueued = await insert_graph(stores, jobs, edges, connection, row)
        self._enqueued = True
        made = {one.job_id: Job(self._app, one.job_id, one.job_type, one.queue) for one in enqueued}
        return Workflow(self._app, stores, row, made)

    def _prepared(self) -> list[NewJob]:
        limit = self._app.settings.max_payload_bytes
        profiles: dict[tuple[int, bool], tuple[Profile, Profile]] = {}
        jobs = []
        for job_id, request in self._requests.items():
            job_type = self._app.registered(request.job_type)
            bounded = job_id != self._callback and (self._deadline_ms or self._deadline_at) is not None
            if bounded and job_type.record != "before":
                raise InvalidInput("deadline_in, deadline_at", "absent where record='behind'", job_type.name)
            job = prepare(request, job_type, limit, job_id)
            key = id(job.profile), bounded
            if key not in profiles:
                profiles[key] = self._in_workflow(job.profile, bounded=bounded), job.profile
            job.profile = profiles[key][0]
            jobs.append(job)
        return jobs

    def _in_workflow(self, profile: Profile, *, bounded: bool) -> Profile:
        """The profile of jobs of this workflow: of two deadlines the earlier one counts."""
        rare: dict[str, Any] = msgspec.json.decode(profile.rare or "{}") | {"workflow_id": self.id}
        if bounded and self._deadline_ms is not None:
            rare["deadline_ms"] = min(rare.get("deadline_ms", self._deadline_ms), self._deadline_ms)
        if bounded and self._deadline_at is not None:
            own = rare.get("deadline_at")
            own_at = self._deadline_at if own is None else msgspec.convert(own, type(self._deadline_at))
            rare["deadline_at"] = min(own_at, self._deadline_at).isoformat()
        return msgspec.structs.replace(profile, rare=msgspec.json.encode(rare).decode())

    def _ids(self, after: Iterable[Handle[Any] | Job | str]) -> list[str]:
        if isinstance(after, str):
            raise InvalidInput("after", "a list of handles, jobs or job ids", after)
        return parents_of([self._id_of(one) if isinstance(one, Handle) else one for one in after])

    def _id_of(self, handle: Handle[Any]) -> str:
        if not handle.belongs_to(self):
            raise InvalidInput("handle", "one of this workflow", handle)
        return handle.job_id

    def _with_references(self, request: JobRequest[Any]) -> tuple[JobRequest[Any], list[str]]:
        """The request with places instead of handles, and the ids of the jobs whose results go there."""
        found: list[Reference] = []
        arguments = {name: self._replaced(value, [name], found) for name, value in request.arguments.items()}
        if not found:
            return request, []
        # First, so that whoever runs the job sees by a few bytes that there is something to be put into it.
        request = JobRequest(request.job_type, {FIELD: found, **arguments}, request.options, request.job_id)
        return request, [one.job for one in found if one.job is not None]

    def _replaced(self, value: object, path: list[str | int], found: list[Reference]) -> object:
        if isinstance(value, Handle):
            found.append(Reference(path, job=self._id_of(value)))
            return None
        if value is self:
            found.append(Reference(path, workflow=self.id))
            return None
        if isinstance(value, Flow):
            raise InvalidInput("flow", "the workflow that the job is part of", value.name)
        if isinstance(value, dict):
            return {key: self._replaced(inner, [*path, key], found) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._replaced(inner, [*path, place], found) for place, inner in enumerate(value)]
        return value


class Workflow:
    """A workflow that is enqueued.

    Attributes:
        id: 36 characters, a UUIDv7; `Admin.workflows` takes it in any process.
        name: as it was given.
        jobs: the jobs in the order in which they were added, without the callback.
        callback: the job that is told of the end; None if there is none.
    """

    def __init__(self, app: Tenure, stores: Stores, row: WorkflowRow, jobs: dict[str, Job]) -> None:
        """Made by `Flow.enqueue`."""
        self._stores = stores
        self._admin = stores.admin.workflows
        self._app = app
        self.id: Final = row.workflow_id
        self.name: Final = row.name
        self._by_id = jobs
        self.callback: Final = jobs.get(row.callback_job_id or "")
        self.jobs: Final = [job for job in jobs.values() if job is not self.callback]

    def job(self, handle: Handle[Any]) -> Job:
        """The job behind a handle."""
        found = self._by_id.get(handle.job_id)
        if found is None:
            raise InvalidInput("handle", "one of this workflow", handle)
        return found

    async def result(self, handle: Handle[T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - as `Job.result`
        """Wait for the end of one job and return what its handler did; raises as `Job.result` does."""
        found: T = await self.job(handle).result(timeout)
        return found

    async def results(self) -> dict[str, Any]:
        """What those of its jobs that completed returned, by job id, in one statement."""
        return await self._stores.admin.results([job.id for job in self.jobs])

    async def status(self) -> WorkflowState:
        """What it is now, in one statement."""
        return await self._admin.show(self.id)

    async def wait(self, timeout: float | None = None) -> WorkflowState:  # noqa: ASYNC109 - as `Job.result`
        """Wait until none of its jobs can go on, the callback aside; the state it has then.

        Args:
            timeout: seconds. Defaults to waiting for ever.

        Raises:
            ResultTimeout: it goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                while (state := await self.status()).status == "RUNNING":
                    await self._next_end()
                return state
        except TimeoutError as error:
            if isinstance(error, ResultTimeout):
                raise
            raise ResultTimeout(self.id, f"workflow has not ended within {timeout:g} s") from error

    async def cancel(self) -> dict[str, str]:
        """As `Workflows.cancel`."""
        return await self._admin.cancel(self.id)

    async def retry(self) -> dict[str, str]:
        """As `Workflows.retry`."""
        return await self._admin.retry(self.id)

    async def _next_end(self) -> None:
        """Wait for the last of the jobs that have not ended, which likely ends last; not long, for it may be held."""
        for row in await self._stores.database.fetch("workflow_last", self.id):
            job = self._app.job_handle(str(row["job_id"]), row["job_type"], row["queue"])
            try:
                await self._stores.results.wait(job, _LOOK)
            except ResultTimeout:
                return
