"""`Tenure`: where handlers are registered, jobs enqueued and workers started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from tenure import _validate
from tenure._graph import insert_all
from tenure._handlers import Handlers
from tenure._opening import close_stores, open_stores
from tenure._stored import outcome_of
from tenure.errors import InvalidInput, NotOpen
from tenure.job import Job
from tenure.job_type import Backoff, JobRequest, JobType, OnFailure, Options
from tenure.settings import Settings
from tenure.unique import as_unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AsyncExitStack
    from datetime import datetime, timedelta
    from types import TracebackType

    from tenure._outcomes import Enqueued
    from tenure._stores import Stores
    from tenure.admin import Admin
    from tenure.unique import Unique
    from tenure.worker import Worker
    from tenure.workflow import Flow

P = ParamSpec("P")
R = TypeVar("R")


class Tenure:
    """A set of handlers and the stores their jobs live in.

    Without settings, and without `TENURE_*` variables, one embedded PostgreSQL and Valkey per user are started or
    joined.
    """

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        """Prepare; nothing is opened yet.

        Args:
            settings: Defaults to what the environment's `TENURE_*` variables say.
            overrides: fields of `Settings` that differ from the environment.
        """
        if settings is not None and overrides:
            raise InvalidInput("overrides", "absent where settings are given", sorted(overrides))
        self.settings: Final = settings if settings is not None else Settings.from_env(**overrides)
        self._handlers = Handlers(self.settings.max_payload_bytes)
        self._stores: Stores | None = None
        self._exit: AsyncExitStack | None = None

    # --- handlers

    def job(
        self,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 3,
        timeout: float | None = None,
        max_retries: int = 5,
        backoff: Backoff | None = None,
        retry_priority: str = "medium",
        record: str = "before",
        payload_format: str = "json",
        cpu: bool = False,
        unique: Unique | bool | str | None = None,
        expires_in: float | timedelta | None = None,
        deadline_in: float | timedelta | None = None,
        inherit_priority: bool = True,
        tenant: str | None = None,
        requires: Iterable[str] = (),
        resources: Mapping[str, float] | None = None,
        limit_key: str | None = None,
        cost: float = 1.0,
    ) -> Callable[[Callable[P, R]], JobType[P, R]]:
        """Register a handler: an `async def`, run on the loop, or a plain function, run in a thread.

        Args:
            name: the job type. Defaults to the function's name.
            queue: where its jobs wait. Defaults to "default".
            priority: 1 (low) to 5 (high). Defaults to 3.
            timeout: seconds an attempt may run. Defaults to none.
            max_retries: attempts after the first. Defaults to 5.
            backoff: the delay before each retry. Defaults to `Backoff()`.
            retry_priority: `medium` lets a retry come back no higher than the medium band, `keep` as it was. Defaults
                to `medium`.
            record: `before` commits the start before the handler runs; `behind` runs at once and records the start
                with the end, or after 50 ms: faster, but a job can run twice without a trace if its worker dies
                early. Defaults to `before`.
            payload_format: `json` or `msgpack`. Defaults to `json`.
            cpu: run a plain function in a process, which is killed at the timeout and at a cancellation. It must be
                importable and takes no context; its module is imported there anew. Defaults to no.
            expires_in: seconds after its enqueue in which a job must start, or be cancelled. Defaults to no bound.
            deadline_in: seconds after its enqueue in which a job must end, or be stopped. Defaults to no bound.
            unique: True for one job with the same arguments at a time, a key, or a `Unique`. Defaults to none.
            inherit_priority: whether a job takes at least the priority of what it depends on. Defaults to True.
            tenant: whose its jobs are. Defaults to nobody's.
            requires: capabilities that a worker must have, such as `{"gpu", "region:eu"}`. Defaults to none.
            resources: amounts that a running job takes up, such as `{"cpu": 2}`. Defaults to none.
            limit_key: its jobs share the limits of jobs with this key. Defaults to none.
            cost: what a job counts in its tenant's share. Defaults to 1.

        Raises:
            InvalidInput: a value is out of bounds, or the name is taken.
        """
        options = Options(
            queue=queue,
            priority=priority,
            timeout=timeout,
            max_retries=max_retries,
            unique=as_unique(unique),
            expires_in=expires_in,
            deadline_in=deadline_in,
            inherit_priority=inherit_priority,
            tenant=tenant,
            requires=requires,
            resources=resources,
            limit_key=limit_key,
            cost=cost,
        )

        def register(handler: Callable[P, R]) -> JobType[P, R]:
            job_type = JobType(
                self,
                handler,
                name=name or handler.__name__,
                options=options,
                backoff=backoff or Backoff(),
                retry_priority=retry_priority,
                record=record,
                payload_format=payload_format,
                cpu=cpu,
            )
            return self._handlers.add(job_type)

        return register

    def schedule(
        self, name: str, cron: str, request: JobRequest, *, timezone: str = "UTC", missed: str = "one"
    ) -> JobRequest:
        """Enqueue a job again and again: `app.schedule("nightly", "0 3 * * *", clean_up.request(days=30))`.

        Workers that serve the job's queue see to it; one of them at a time, and each moment once. What the job is stays
        in the code; PostgreSQL keeps when it is next, and whether it is paused.

        Args:
            name: of the schedule; the same in every process.
            cron: five fields (minute, hour, day of month, month, day of week), or six with seconds first.
            request: made by `JobType.request`. Its job has `schedule` and `scheduled_at` in its metadata.
            timezone: the clock that the fields mean, by its IANA name. Defaults to "UTC".
            missed: what becomes of moments more than a minute past, when no worker was there: `one` enqueues the last
                of them, `all` each, `skip` none. Defaults to `one`.

        Returns:
            The request, so that it can be enqueued by hand as well.

        Raises:
            InvalidInput: a value is out of bounds, or the name is taken.
        """
        return self._handlers.schedule(name, cron, request, timezone, missed)

    @property
    def job_types(self) -> Mapping[str, JobType[..., Any]]:
        """The registered handlers by job type."""
        return self._handlers.job_types

    # --- life

    async def __aenter__(self) -> Self:
        """Open both stores and check that they keep what tenure promises.

        Raises:
            ConfigurationError: a URL or a server's configuration is refused; the message says what to change.
            StoreUnavailable: a store does not answer.
            MigrationError: the schema is not there, or older or newer than this version.
        """
        if self._stores is not None:
            raise NotOpen("the app is open already")
        stores, self._exit = await open_stores(self.settings)
        self._stores = stores
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what is under way and close both stores."""
        await self.close()

    async def close(self) -> None:
        """Finish what is under way and close both stores; may be called twice."""
        stores, self._stores = self._stores, None
        exit_stack, self._exit = self._exit, None
        if stores is not None and exit_stack is not None:
            await close_stores(stores, exit_stack)

    # --- jobs

    async def enqueue(self, job_type: str, /, arguments: Mapping[str, object] | None = None, **options: Any) -> Job:
        """Enqueue by name, for callers that do not import the handler; `options` are the fields of `Options`."""
        bound = self.registered(job_type).options(**options)
        return await bound.enqueue(**(arguments or {}))

    async def enqueue_many(self, requests: Sequence[JobRequest], *, connection: Any = None) -> list[Job]:
        """Enqueue many jobs in a few statements; a request may depend on another one of the same call.

        Args:
            requests: made by `JobType.request`. All of them are checked before the first is written.
            connection: an asyncpg connection whose transaction the jobs join. Defaults to one of tenure's own.

        Returns:
            The jobs, in the order of the requests.
        """
        jobs = self._handlers.prepare_all(requests, connection)
        return [self._handle(one) for one in await insert_all(self._open(), jobs, connection)]

    async def enqueue_request(self, request: JobRequest) -> Job:
        """Enqueue one request; when this returns it is committed, or part of the caller's transaction."""
        options = request.options
        if options.connection is not None or options.depends_on:
            return (await self.enqueue_many([request], connection=options.connection))[0]
        stores = self._open()
        job = self._handlers.prepare(request)
        stores.seal_jobs([job])
        return self._handle(await stores.enqueuer.one(job))

    def workflow(
        self,
        name: str | None = None,
        *,
        on_failure: OnFailure = "hold",
        deadline_in: float | timedelta | None = None,
        deadline_at: datetime | None = None,
    ) -> Flow:
        """A graph of jobs to be enqueued in one transaction; see `tenure.workflow`.

        Args:
            name: to find it by; need not be its own. Defaults to none.
            on_failure: what the bad end of a job means to those after it, where nothing else is said: `hold`, `cancel`
                or `run`. Defaults to `hold`.
            deadline_in: seconds, or a timedelta, after its enqueue in which all jobs must end. Defaults to no bound.
            deadline_at: the same as a point in time with a time zone. Defaults to none.
        """
        from tenure.workflow import Flow  # noqa: PLC0415 - most producers need none of it

        return Flow(self, self._open, name, on_failure=on_failure, deadline_in=deadline_in, deadline_at=deadline_at)

    def _handle(self, one: Enqueued) -> Job:
        return Job(self, one.job_id, one.job_type, one.queue, created=one.created, conflict=one.conflict)

    def job_handle(self, job_id: str, job_type: str = "", queue: str = "default") -> Job:
        """A handle on a job of which the id is known; the queue matters for how soon `result` hears of the end."""
        return Job(self, _validate.job_id(job_id), job_type, queue, created=False)

    async def wait_result(self, job: Job, timeout: float | None) -> Any:  # noqa: ASYNC109 - the handler's; part of the API
        """What `Job.result` returns and raises."""
        stores = self._open()
        return outcome_of(await stores.results.wait(job, timeout), stores.seal)

    # --- work

    def worker(
        self,
        *,
        queues: Sequence[str] | None = None,
        concurrency: int = 10,
        name: str | None = None,
        worker_type: str = "default",
        labels: Mapping[str, str] | None = None,
        cpu_processes: int | None = None,
        capabilities: Iterable[str] = (),
        resources: Mapping[str, float] | None = None,
    ) -> Worker:
        """A worker in this process, for `async with app.worker(): …`.

        Args:
            queues: what it serves. Defaults to the queues of the registered handlers.
            concurrency: the most jobs at a time. Defaults to 10.
            name: shown in the registry. Defaults to host and process id.
            worker_type: a name for workers of one kind, shown in the registry. Defaults to "default".
            labels: what else the registry shows of it, such as `{"zone": "b"}`. Defaults to none.
            cpu_processes: the most processes for `cpu` handlers, each of which runs one job at a time; they are started
                when they are needed. Defaults to the machine's cores, and no more than `concurrency`.
            capabilities: what it offers to jobs that require it, such as `{"gpu", "region:eu"}`. Defaults to nothing.
            resources: what its jobs may take up together, such as `{"gpu": 2, "cpu": 8}`. Defaults to nothing.
        """
        from tenure._identity import identify  # noqa: PLC0415 - a producer needs none of it
        from tenure.worker import Worker  # noqa: PLC0415

        identity = identify(
            name,
            self._handlers.queues if queues is None else queues,
            concurrency,
            worker_type=worker_type,
            labels=labels or {},
            capabilities=capabilities,
            resources=resources or {},
        )
        if cpu_processes is None:
            cpu_processes = min(identity.concurrency, os.cpu_count() or 1)
        stores = self._open()
        return Worker(
            stores.database,
            self.settings,
            stores.redis_url,
            self.job_types,
            identity=identity,
            registry=stores.registry,
            watchdog=stores.watchdog,
            processes=_validate.whole("cpu_processes", cpu_processes, 1, 1000),
            seal=stores.seal,
            schedules=self._handlers.schedules,
        )

    @property
    def admin(self) -> Admin:
        """Reading and steering what is there: jobs, dead letters, workers, figures."""
        return self._open().admin

    def registered(self, job_type: str) -> JobType[..., Any]:
        """The handler of this name, or `UnknownJobType`."""
        return self._handlers.find(job_type)

    def _open(self) -> Stores:
        if self._stores is None:
            raise NotOpen("the app is not open, use `async with app`")
        return self._stores
