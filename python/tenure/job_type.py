"""A job type: a registered handler with its defaults, callable as before and enqueuable."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar

import msgspec

from tenure import _validate
from tenure._codec import FORMATS
from tenure._retry_budget import RetryBudget
from tenure._signature import Signature
from tenure.errors import InvalidInput
from tenure.unique import Unique, as_unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    # A request without its type's name says nothing of its handler's result, as before there was one to say.
    from typing_extensions import TypeVar as TypeVarWithDefault

    from tenure._new_job import Profile
    from tenure.app import Tenure
    from tenure.job import Job

    T = TypeVarWithDefault("T", default=Any)
else:
    T = TypeVar("T")

P = ParamSpec("P")
R = TypeVar("R")

MODES: Final = ("before", "behind")
JITTERS: Final = ("full", "equal", "none")
RETRY_PRIORITIES: Final = ("medium", "keep")
ON_FAILURE: Final = ("hold", "cancel", "run")
OnFailure = Literal["hold", "cancel", "run"]
_MOST_REQUIRED: Final = 16
_MOST_RETRIES: Final = 1000
_LONGEST_TIMEOUT: Final = 24 * 86_400.0  # seconds; in milliseconds it must fit the column's 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The delay before retry n (from 1): `min(base * factor ** (n - 1) + jitter, cap)`, in seconds.

    Attributes:
        base: seconds. Defaults to 1.
        factor: growth per retry. Defaults to 2.
        cap: the longest delay in seconds. Defaults to 60.
        jitter: `full` draws from the whole delay, `equal` from its upper half, `none` not at all. Defaults to `full`.
        budget: retries for each attempt of this job type in a process; those above wait for `cap` (its upper half is
            drawn from), so that what fails everywhere is not asked ever more often. 0.5 makes of a load of which every
            attempt fails no more than twice as much. Defaults to 0.5.
        burst: as many retries are free of the budget at a time. Defaults to 1,000.
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 60.0
    jitter: Literal["full", "equal", "none"] = "full"
    budget: float = 0.5
    burst: int = 1000

    def __post_init__(self) -> None:
        """Refuse what makes no delay."""
        _validate.seconds("backoff.base", self.base, least=0.001)
        _validate.seconds("backoff.cap", self.cap, least=0.001)
        _validate.choice("backoff.jitter", self.jitter, JITTERS)
        if not 1.0 <= self.factor <= 100.0:  # noqa: PLR2004 - the bounds are in the message
            raise InvalidInput("backoff.factor", "a number from 1 to 100", self.factor)
        if not 0.0 <= self.budget <= 100.0:  # noqa: PLR2004 - likewise
            raise InvalidInput("backoff.budget", "a number from 0 to 100", self.budget)
        _validate.whole("backoff.burst", self.burst, 0, 1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a job is run; a job type holds defaults, a single enqueue may differ.

    Attributes:
        queue: the queue's name. Defaults to "default".
        priority: 1 (low) to 5 (high). Defaults to 3.
        timeout: seconds an attempt may run. Defaults to none.
        max_retries: attempts after the first. Defaults to 5.
        delay: seconds, or a timedelta, until the job becomes ready. Defaults to none.
        run_at: when the job becomes ready; needs a time zone. Defaults to now.
        expires_in: seconds, or a timedelta, from now: if no attempt has started by then, none ever does, and the job is
            cancelled. Defaults to never.
        expires_at: the same as a point in time with a time zone. Defaults to never.
        deadline_in: seconds, or a timedelta, from now: a running attempt is stopped then, no retry or snooze goes past
            it, and the job is a dead letter, or cancelled if it never started. Defaults to none.
        deadline_at: the same as a point in time with a time zone. Defaults to none.
        idempotency_key: a second job with the same key is not made; the first is returned. Defaults to none.
        unique: a `Unique`, True for one job with the same arguments at a time, or a key. Defaults to none.
        tenant: whose the job is, for fair share and limits. Defaults to nobody's.
        requires: capabilities that its worker must have, such as `{"gpu", "region:eu"}`. Defaults to none.
        resources: amounts that it takes up of its worker's while it runs, such as `{"cpu": 2}`. Defaults to none.
        limit_key: jobs with the same key share the limits on keys, such as "customer:42". Defaults to none.
        cost: what it counts in its tenant's share, 0.001 to a million. Defaults to 1.
        tags: short texts to find the job by. Defaults to none.
        metadata: a small JSON object kept beside the job. Defaults to none.
        depends_on: jobs, or their ids, that must complete first. Defaults to none.
        on_failure: if one of them fails or is cancelled: `hold` waits for it to be retried, `cancel` cancels this job
            too, `run` runs it all the same. Defaults to `hold`.
        inherit_priority: whether the job takes at least the priority of what it depends on. What it waits for is lifted
            to its own in any case. Defaults to True.
        connection: an asyncpg connection whose transaction the job joins. Defaults to one of tenure's own.
    """

    queue: str = "default"
    priority: int = 3
    timeout: float | None = None
    max_retries: int = 5
    delay: float | timedelta | None = None
    run_at: datetime | None = None
    expires_in: float | timedelta | None = None
    expires_at: datetime | None = None
    deadline_in: float | timedelta | None = None
    deadline_at: datetime | None = None
    idempotency_key: str | None = None
    unique: Unique | None = None
    tenant: str | None = None
    requires: Iterable[str] = ()
    resources: Mapping[str, float] | None = None
    limit_key: str | None = None
    cost: float = 1.0
    tags: Iterable[str] = ()
    metadata: Mapping[str, object] | None = None
    depends_on: Iterable[Job | str] = ()
    on_failure: OnFailure = "hold"
    inherit_priority: bool = True
    connection: Any = None

    def __post_init__(self) -> None:
        """Refuse what no worker could honour."""
        _validate.name("queue", self.queue)
        _validate.whole("priority", self.priority, 1, 5)
        _validate.whole("max_retries", self.max_retries, 0, _MOST_RETRIES)
        if self.timeout is not None:
            _validate.seconds("timeout", self.timeout, least=0.001, most=_LONGEST_TIMEOUT)
        _validate.choice("on_failure", self.on_failure, ON_FAILURE)
        if self.delay is not None and self.run_at is not None:
            raise InvalidInput("delay", "absent where run_at is given", self.delay)
        if self.run_at is not None:
            _validate.moment("run_at", self.run_at)
        for name in ("expires", "deadline"):
            _refuse_no_time(name, getattr(self, f"{name}_in"), getattr(self, f"{name}_at"))
        if self.idempotency_key is not None:
            _validate.text("idempotency_key", self.idempotency_key, 255)
        if self.unique is not None:
            object.__setattr__(self, "unique", as_unique(self.unique))
        self._check_attributes()

    def _check_attributes(self) -> None:
        """Refuse what could not stand in a lane's name."""
        if self.tenant is not None:
            _validate.tenant(self.tenant)
        if self.requires != ():
            object.__setattr__(self, "requires", _validate.capabilities(self.requires, "requires", _MOST_REQUIRED))
        if self.resources is not None:
            object.__setattr__(self, "resources", _validate.resources(self.resources))
        if self.limit_key is not None:
            _validate.limit_key(self.limit_key)
        _validate.amount("cost", self.cost)

    @property
    def ends(self) -> bool:
        """Whether there is a time after which the job is not wanted any more."""
        times = (self.expires_in, self.expires_at, self.deadline_in, self.deadline_at)
        return any(time is not None for time in times)


def _refuse_no_time(name: str, after: float | timedelta | None, at: datetime | None) -> None:
    if after is not None:
        if at is not None:
            raise InvalidInput(f"{name}_in", f"absent where {name}_at is given", after)
        _validate.span(f"{name}_in", after)
    if at is not None:
        _validate.moment(f"{name}_at", at)


class JobRequest(msgspec.Struct, Generic[T], frozen=True):
    """A job that is not enqueued yet, for `Tenure.enqueue_many` and `Tenure.workflow`; its type names what the handler
    returns.

    Attributes:
        job_type: the registered handler's name.
        arguments: by name.
        options: how it is run.
        job_id: given in advance, so that other requests of the same call can depend on it. Defaults to a new UUIDv7.
    """

    job_type: str
    arguments: dict[str, object]
    options: Options = msgspec.field(default_factory=Options)
    job_id: str | None = None


class JobType(Generic[P, R]):
    """A handler that `Tenure.job` registered. Calling it runs the function itself, here and now."""

    def __init__(
        self,
        app: Tenure,
        handler: Callable[P, R],
        *,
        name: str,
        options: Options,
        backoff: Backoff,
        retry_priority: str,
        record: str,
        payload_format: str,
        cpu: bool,
    ) -> None:
        """Made by `Tenure.job`, which documents the parameters."""
        self.name: Final = _validate.name("job_type", name, 255)
        self.handler: Final = handler
        self.is_async: Final = inspect.iscoroutinefunction(handler)
        self.backoff: Final = backoff
        self.retry_budget: Final = RetryBudget(backoff.budget, backoff.burst)
        self.retry_priority: Final = _validate.choice("retry_priority", retry_priority, RETRY_PRIORITIES)
        self.record: Final = _validate.choice("record", record, MODES)
        self.payload_format: Final = _validate.choice("payload_format", payload_format, FORMATS)
        self.signature: Final = Signature(handler)
        self.cpu: Final = cpu
        if cpu:
            self._refuse_unless_importable()
        self.defaults: Final = options
        # What `_new_job` has made of options so far, by their identity.
        self.profiles: Final[dict[int, tuple[Profile, Options]]] = {}
        self._app: Final = app
        self.__wrapped__ = handler
        self.__doc__ = handler.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the handler itself; no job is made."""
        return self.handler(*args, **kwargs)

    def _refuse_unless_importable(self) -> None:
        """Another process must find the function by its place, and has nothing of this one."""
        if self.is_async:
            raise InvalidInput("cpu", "False for an async handler", self.name)
        if self.signature.context_name is not None:
            raise InvalidInput("cpu", "False for a handler that takes a context", self.name)
        if "<" in self.handler.__qualname__:
            raise InvalidInput("handler", "a function of a module, where it is cpu", self.handler.__qualname__)

    def __repr__(self) -> str:
        """Name the job type."""
        return f"JobType({self.name!r})"

    async def enqueue(self, *args: Any, **kwargs: Any) -> Job:
        """Enqueue one job with the type's options; when this returns it is committed."""
        return await self._app.enqueue_request(self.request(*args, **kwargs))

    def request(self, *args: Any, **kwargs: Any) -> JobRequest[R]:
        """The same job as a value, for `Tenure.enqueue_many`, or a workflow."""
        return JobRequest(self.name, self.signature.bind(args, kwargs), self.defaults)

    def options(self, *, job_id: str | None = None, **changes: Any) -> BoundOptions[R]:
        """The type with other options for the next enqueue; takes the fields of `Options`, and `job_id`."""
        if unknown := changes.keys() - set(Options.__dataclass_fields__):
            raise InvalidInput("options", "among " + ", ".join(Options.__dataclass_fields__), sorted(unknown))
        given_id = None if job_id is None else _validate.job_id(job_id)
        return BoundOptions(self._app, self, replace(self.defaults, **changes), given_id)


@dataclass(frozen=True, slots=True)
class BoundOptions(Generic[R]):
    """A job type with options of its own for the jobs enqueued through it."""

    _app: Tenure
    _type: JobType[..., R]
    _options: Options
    _job_id: str | None

    async def enqueue(self, *args: Any, **kwargs: Any) -> Job:
        """Enqueue one job; when this returns it is committed, or part of the caller's transaction."""
        return await self._app.enqueue_request(self.request(*args, **kwargs))

    def request(self, *args: Any, **kwargs: Any) -> JobRequest[R]:
        """The same job as a value, for `Tenure.enqueue_many`, or a workflow."""
        return JobRequest(self._type.name, self._type.signature.bind(args, kwargs), self._options, self._job_id)
