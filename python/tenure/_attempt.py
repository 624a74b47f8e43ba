"""One attempt: calling the handler, and turning what comes of it into an ending."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import re
import time
import traceback
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from tenure._codec import encode
from tenure._engine import backoff_ms
from tenure._references import Gone, has_references
from tenure._settle import Ending
from tenure.context import JobContext
from tenure.errors import InvalidInput, SealRefused
from tenure.verdict import Cancel, Completed, Dead, Retry, Snooze

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from tenure._deadline import Deadline
    from tenure._engine import Lease
    from tenure._processes import Processes
    from tenure._references import References
    from tenure._start import Starter
    from tenure.context import Reporter
    from tenure.job_type import JobType

logger = logging.getLogger("tenure.attempt")

_LONGEST_ERROR: Final = 8 * 1024
_CUT: Final = "… (cut)\n"
_LOGIN: Final = re.compile(r"://[^/\s@:]*:[^\s@]+@")
_MEDIUM: Final = 3

# `release`: its worker stops; `surplus`: it waits here while others are idle.
Stop = Literal["lost", "cancel", "release", "surplus"]


class Attempt:
    """A lease being run by this process.

    Attributes:
        lease: what is run.
        recorded: its start is in PostgreSQL.
        recording: done when PostgreSQL has been asked for that, where somebody waits.
        begun: its handler has been called, or will not be.
        stop: why its handler was cancelled from outside, if it was.
        started: when the handler was called, by the monotonic clock.
        deadline: when the job must have ended, if it must.
        orphaned: its thread goes on after it was given up.
    """

    __slots__ = ("_task", "begun", "deadline", "lease", "orphaned", "recorded", "recording", "started", "stop")

    def __init__(self, lease: Lease) -> None:
        """A lease that nothing has been done about yet."""
        self.lease = lease
        self.recorded = False
        self.recording: asyncio.Future[bool] | None = None
        self.begun = False
        self.stop: Stop | None = None
        self.started = 0.0
        self.deadline: Deadline | None = None
        self.orphaned = False
        self._task: asyncio.Task[None] | None = None

    def begin(self, task: asyncio.Task[None]) -> None:
        """Say which task to cancel from now on."""
        self.begun = True
        self.started = time.monotonic()
        self._task = task

    def end(self) -> None:
        """Nothing is left to cancel: the task may run another attempt next."""
        self._task = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What runs it now."""
        return self._task

    async def ensure_recorded(self, starter: Starter) -> bool:
        """Record the start if it is not recorded yet; False: the lease is lost."""
        if not self.recorded:
            await asyncio.shield(self.recording or self.record(starter))
        return self.recorded

    def record(self, starter: Starter) -> asyncio.Future[bool]:
        """Have the start recorded; done when PostgreSQL has said whether it is."""
        self.recording = asyncio.get_running_loop().create_future()
        starter.record([self])
        return self.recording

    def cancel(self, why: Stop) -> None:
        """Cancel the handler; the first reason stands, but a lost lease outranks every other."""
        if self.stop is None or why == "lost":
            self.stop = why
        if self._task is not None:
            self._task.cancel()


class Invalid(Dead):
    """A payload or result that no retry can mend."""


class Refused(Dead):
    """A job that must not run: its seal was refused."""


class Overdue(Dead):
    """A job that must have ended by now."""


_REASONS: Final[dict[type, str]] = {Invalid: "invalid", Refused: "refused", Overdue: "deadline"}


async def call_handler(
    job_type: JobType[..., object] | None,
    attempt: Attempt,
    reporter: Reporter,
    threads: Executor,
    processes: Processes,
    on_orphan: Callable[[Attempt, asyncio.Future[Any]], None],
    references: References,
) -> object:
    """Run the handler: a coroutine on the loop, a plain function in a thread or, where it is declared so, a process.
    What it is to be handed of the jobs that it depends on is read first.

    A thread cannot be stopped: `on_orphan` is given the attempt, and the future of its thread, where that goes on after
    the attempt was given up.
    """
    lease = attempt.lease
    if job_type is None:
        return Retry(f"no handler is registered here for the job type: {lease.job_type}")
    if has_references(lease.payload, lease.payload_format):
        filled = await _filled(lease, references)
        if isinstance(filled, Dead):
            return filled
        lease = attempt.lease = filled
    if job_type.cpu:
        return await processes.run(job_type, lease)
    try:
        arguments = job_type.signature.decode(lease.payload, lease.payload_format)
    except (msgspec.MsgspecError, RecursionError) as error:
        return Invalid(f"the payload does not fit the handler: {error}")
    if job_type.signature.context_name is not None:
        arguments[job_type.signature.context_name] = JobContext(lease, reporter, attempt.deadline)
    handler: Callable[..., Any] = job_type.handler
    if job_type.is_async:
        return await handler(**arguments)
    call = functools.partial(contextvars.copy_context().run, functools.partial(_in_thread, handler, arguments))
    thread = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        if not thread.done():
            on_orphan(attempt, thread)
        raise


async def _filled(lease: Lease, references: References) -> Lease | Dead:
    try:
        return await references.fill(lease)
    except SealRefused as error:
        return Refused(str(error))
    except (Gone, msgspec.MsgspecError, LookupError, TypeError) as error:
        return Invalid(f"the results of its parents cannot be handed to it: {error}")


def _in_thread(handler: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a plain handler. No future can hold a StopIteration: the attempt would wait for its thread for ever."""
    try:
        return handler(**arguments)
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error


async def verdict_of(run: Any, timeout_ms: int, attempt: Attempt) -> object:
    """What the handler returned, or the verdict that its exception amounts to."""
    limit = asyncio.timeout(timeout_ms / 1000) if timeout_ms else None
    try:
        if limit is None:
            return await run
        async with limit:
            return await run
    except TimeoutError as error:
        expired = limit is not None and limit.expired()
        return _out_of_time(attempt, timeout_ms) if expired else Retry(error_text(error))
    except asyncio.CancelledError as error:
        if attempt.stop == "cancel":
            return Cancel("cancelled while it ran")
        if attempt.stop is None:
            return Retry(error_text(error))
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is a failed attempt
        # A job that exits fails; it does not take its worker and its neighbours along.
        return Retry(error_text(error))


def _out_of_time(attempt: Attempt, timeout_ms: int) -> Retry | Overdue:
    if attempt.deadline is not None and not attempt.deadline.remaining:
        return Overdue("the job's deadline passed while it ran")
    return Retry(f"timed out after {timeout_ms} ms")


def error_text(error: BaseException) -> str:
    """The traceback as the audit keeps it."""
    return stored_text("".join(traceback.format_exception(error)))


def stored_text(value: object) -> str:
    """An error text as the audit keeps it: its end, at most 8 KiB with a mark where it was cut, without NUL and without
    the passwords of URLs, which drivers like to repeat.
    """
    text = _LOGIN.sub("://***@", str(value)).replace("\x00", "\\x00").strip()
    data = text.encode(errors="backslashreplace")
    if len(data) <= _LONGEST_ERROR:
        return data.decode()
    return _CUT + data[len(_CUT.encode()) - _LONGEST_ERROR :].decode(errors="ignore")


def ending_of(
    verdict: object, attempt: Attempt, job_type: JobType[..., object] | None, max_result_bytes: int
) -> Ending:
    """The one place where a verdict becomes what is written."""
    lease = attempt.lease
    duration_ms = (time.monotonic() - attempt.started) * 1000
    if job_type is not None:
        job_type.retry_budget.ended += 1
    ending = functools.partial(Ending, lease, attempt.recorded, duration_ms)
    left = None if attempt.deadline is None else attempt.deadline.remaining
    match verdict:
        case Snooze(delay) if left is not None and delay >= left:
            return ending("FAILED", "FAILED", error="snoozed past the job's deadline", reason="deadline")
        case Snooze(delay, most):
            status = "SCHEDULED" if delay > 0 else "PENDING"
            return ending(status, "SNOOZED", delay_ms=round(delay * 1000), attempts_back=1, most_snoozes=most)
        case Cancel(reason):
            return ending("CANCELLED", "CANCELLED", error=stored_text(reason) or None)
        case Dead(error):
            return ending("FAILED", "FAILED", error=stored_text(error), reason=_REASONS.get(type(verdict), "dead"))
        case Retry(error, delay):
            return _failed(ending, lease, job_type, stored_text(error), delay, left)
        case Completed(result):
            pass
        case result:
            pass
    return _completed(ending, result, "json" if job_type is None else job_type.payload_format, max_result_bytes)


def _completed(ending: Callable[..., Ending], result: object, payload_format: str, limit: int) -> Ending:
    if result is None:
        return ending("COMPLETED", "COMPLETED")
    try:
        data = encode(result, payload_format, limit, "result")
    except InvalidInput as error:
        return ending("FAILED", "FAILED", error=str(error), reason="invalid")
    return ending("COMPLETED", "COMPLETED", result=data, result_format=payload_format)


def released(attempt: Attempt) -> Ending:
    """The ending of an attempt that a worker gives back: ready at once, no attempt burnt."""
    duration_ms = (time.monotonic() - attempt.started) * 1000 if attempt.started else 0.0
    return Ending(
        attempt.lease,
        attempt.recorded,
        duration_ms,
        "PENDING",
        "RELEASED",
        error="given back, other workers were idle" if attempt.stop == "surplus" else "the worker was stopped",
        attempts_back=1,
    )


def _delay_ms(job_type: JobType[..., object], attempt: int) -> int:
    """Before the retry that follows this attempt."""
    backoff = job_type.backoff
    base, cap = round(backoff.base * 1000), round(backoff.cap * 1000)
    if not job_type.retry_budget.spend():
        # The longest delay, whichever attempt it was, and never at once with all others.
        return backoff_ms(0, cap, 1.0, cap, "equal")
    return backoff_ms(attempt - 1, base, backoff.factor, cap, backoff.jitter)


def _failed(
    ending: Callable[..., Ending],
    lease: Lease,
    job_type: JobType[..., object] | None,
    error: str,
    delay: float | None,
    left: float | None,
) -> Ending:
    if lease.attempt > lease.max_retries:
        reason = "unknown_job_type" if job_type is None else "exhausted"
        return ending("FAILED", "FAILED", error=error, reason=reason)
    if delay is not None:
        delay_ms = round(delay * 1000)
    elif job_type is None:
        delay_ms = backoff_ms(lease.attempt - 1)
    else:
        delay_ms = _delay_ms(job_type, lease.attempt)
    if left is not None and delay_ms >= left * 1000:
        return ending("FAILED", "FAILED", error=error, reason="deadline")  # no retry that would come too late
    keep = job_type is not None and job_type.retry_priority == "keep"
    return ending(
        "SCHEDULED" if delay_ms > 0 else "PENDING",
        "FAILED",
        error=error,
        delay_ms=delay_ms,
        # A retry comes back no higher than the medium band, so that what fails does not hold up what is urgent.
        priority=None if keep else min(lease.priority, _MEDIUM),
    )
