"""Every error that tenure raises on purpose.

TenureError
├── InvalidInput            a value was refused before anything was written
│   ├── PayloadTooLarge
│   ├── PayloadInvalid
│   ├── UnknownJobType
│   ├── UnknownDependency
│   └── DependencyCycle
├── ConfigurationError      a setting or a server's configuration is refused
├── NotOpen                 the app is used outside `async with app`
├── StoreUnavailable        PostgreSQL or Redis cannot be asked
│   ├── Backpressure        a store is there and refuses more work for now
│   └── Untrusted           the connection to a store cannot be made secure
├── MigrationError          the schema is not what the migrations say
├── JobNotFound
├── ScheduleNotFound
├── WorkflowNotFound
├── WorkerNotFound
├── WorkerRefused           a worker will not do what was asked of it
├── NoAnswer                whether a worker did what was asked of it is unknown
├── DuplicateJob            another job has the unique key
├── QuotaExceeded           as many jobs wait as a limit allows
├── IllegalTransition       the job's state does not allow the verb
├── LeaseLost               the lease died: nothing was changed
├── SealRefused             a sealed payload or result cannot be trusted, or not be opened
└── ResultError             the job ended otherwise than with a result
├── JobFailed
├── JobCancelled
└── ResultTimeout
"""

from __future__ import annotations

from typing import Final

_SHOWN: Final = 80  # characters of a refused value that a message repeats


class TenureError(Exception):
    """Base of every error that tenure raises on purpose."""


class InvalidInput(TenureError):
    """A value was refused before anything was written.

    Attributes:
        field: the name of the parameter, setting or column.
        limit: what is allowed, in words.
        value: what was given, shortened; never a secret.
    """

    def __init__(self, field: str, limit: str, value: object) -> None:
        """Name the field, the limit and the value."""
        self.field = field
        self.limit = limit
        self.value = shorten(value)
        super().__init__(f"{field} must be {limit}: {self.value}")


class PayloadTooLarge(InvalidInput):
    """The encoded payload or result has more bytes than the limit."""


class PayloadInvalid(InvalidInput):
    """The arguments or the result cannot be encoded without changing them."""


class UnknownJobType(InvalidInput):
    """No handler is registered under this job type."""


class UnknownDependency(InvalidInput):
    """A job in `depends_on` does not exist."""


class DependencyCycle(InvalidInput):
    """Jobs would wait for themselves; PostgreSQL refuses such edges too, whoever writes them."""


class ConfigurationError(TenureError):
    """A setting or a server's configuration is refused; the message says what to change."""


class NotOpen(TenureError):
    """The app is used outside `async with app`."""


class StoreUnavailable(TenureError):
    """PostgreSQL or Redis cannot be asked; what was sent may or may not have happened."""


class Backpressure(StoreUnavailable):
    """A store is there and refuses more work for now (memory, disk or connections are used up)."""


class Untrusted(StoreUnavailable):
    """The connection to a store cannot be made secure: an unknown authority, another host, an expired certificate."""


class MigrationError(TenureError):
    """The schema is not what the migrations say."""


class JobNotFound(TenureError):
    """No job has this id."""


class ScheduleNotFound(TenureError):
    """No worker has declared a schedule of this name."""


class WorkflowNotFound(TenureError):
    """No workflow has this id."""


class WorkerNotFound(TenureError):
    """No live worker has this id, name, host or group."""


class WorkerRefused(TenureError):
    """A worker was asked for something, and answered why it did not do it."""


class NoAnswer(TenureError):
    """A worker was asked for something and did not answer in time: whether it did it is unknown."""


class DuplicateJob(TenureError):
    """Another job has the unique key.

    Attributes:
        key: without the window that it may be for.
        job_id: of the job that has it.
    """

    def __init__(self, key: str, job_id: str) -> None:
        """Name the key and who has it."""
        self.key = key
        self.job_id = job_id
        super().__init__(f"another job has the unique key {shorten(key)}: {job_id}")


class QuotaExceeded(TenureError):
    """As many jobs wait as a limit allows: nothing was written.

    Attributes:
        queue: whose limit it is.
        limit: what it counts, such as `tenant acme`; `queue` for all of the queue's jobs.
        max: how many may wait.
        waiting: how many do.
        asked: how many more the call would have made.
    """

    def __init__(self, queue: str, scope: str, name: str, most: int, *, waiting: int, asked: int) -> None:
        """Name the limit and how full it is."""
        self.queue = queue
        self.limit = scope if scope == "queue" else f"{scope} {name}"
        self.max = most
        self.waiting = waiting
        self.asked = asked
        super().__init__(f"no place for {asked} more jobs in {queue}, {self.limit}: {waiting} of {most} wait")


class IllegalTransition(TenureError):
    """The job's state does not allow the verb."""


class LeaseLost(TenureError):
    """The lease died: another attempt may hold the job, and nothing was changed."""

    def __init__(self, job_id: str, fence: int, why: str) -> None:
        """Name the lease and why it is lost."""
        self.job_id = job_id
        self.fence = fence
        super().__init__(f"lease lost, {why}: {job_id}:{fence}")


class SealRefused(TenureError):
    """A payload or result was changed, moved to another job or has expired, or its key is retired or unknown here."""


class ResultError(TenureError):
    """The job ended otherwise than with a result, or not in time."""

    def __init__(self, job_id: str, message: str) -> None:
        """Name the job and what became of it."""
        self.job_id = job_id
        super().__init__(f"{message}: {job_id}")


class JobFailed(ResultError):
    """The job is in the dead letter queue.

    Attributes:
        error: the error text of its last attempt.
    """

    def __init__(self, job_id: str, error: str) -> None:
        """Keep the error text of the last attempt."""
        self.error = error
        super().__init__(job_id, f"job failed, {error}" if error else "job failed")


class JobCancelled(ResultError):
    """The job was cancelled."""


class ResultTimeout(ResultError, TimeoutError):
    """The job has not ended in time; it goes on."""


def shorten(value: object) -> str:
    """The value as a message may show it: its repr, at most 80 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
