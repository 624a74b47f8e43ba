"""A verdict becomes an ending in one place."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tenure import Backoff, Cancel, Completed, Dead, InvalidInput, Retry, Snooze, Tenure
from tenure._attempt import Attempt, ending_of, error_text, released, verdict_of
from tenure._deadline import Deadline, shortest_ms

TENURE = Tenure()


@TENURE.job(backoff=Backoff(base=2.0, jitter="none"))
async def medium() -> None: ...


@TENURE.job(retry_priority="keep")
async def keeping() -> None: ...


def attempt(number: int = 1, priority: int = 5) -> Attempt:
    lease = SimpleNamespace(job_id="j", fence=number, attempt=number, max_retries=2, priority=priority, queue="q")
    made = Attempt(lease)  # type: ignore[arg-type]  # as much of a lease as is looked at
    made.recorded = True
    return made


@pytest.mark.parametrize(
    ("verdict", "number", "expected"),
    [
        ("plain", 1, {"status": "COMPLETED", "execution_status": "COMPLETED", "result": b'"plain"'}),
        (None, 1, {"status": "COMPLETED", "result": None}),
        (Completed([1]), 1, {"status": "COMPLETED", "result": b"[1]", "result_format": "json"}),
        (Retry("e"), 1, {"status": "SCHEDULED", "execution_status": "FAILED", "delay_ms": 2000, "priority": 3}),
        (Retry("e"), 2, {"status": "SCHEDULED", "delay_ms": 4000}),
        (Retry("e"), 3, {"status": "FAILED", "reason": "exhausted", "error": "e"}),
        (Retry("e", delay=0.0), 1, {"status": "PENDING", "delay_ms": 0}),
        (Snooze(1.5), 3, {"status": "SCHEDULED", "execution_status": "SNOOZED", "attempts_back": 1, "delay_ms": 1500}),
        (Snooze(0), 1, {"status": "PENDING", "execution_status": "SNOOZED"}),
        (Cancel("c"), 1, {"status": "CANCELLED", "execution_status": "CANCELLED", "error": "c"}),
        (Dead("d"), 1, {"status": "FAILED", "execution_status": "FAILED", "reason": "dead", "error": "d"}),
        (object(), 1, {"status": "FAILED", "reason": "invalid"}),
    ],
)
def test_every_verdict(verdict, number, expected):
    ending = ending_of(verdict, attempt(number), medium, 1000)
    assert {name: getattr(ending, name) for name in expected} == expected


def test_no_retry_is_scheduled_past_the_deadline():
    for verdict, left, expected in (
        (Retry("e"), 1.9, ("FAILED", "deadline", "e")),
        (Retry("e"), 2.5, ("SCHEDULED", None, "e")),
        (Retry("e", delay=0.0), 0.0, ("FAILED", "deadline", "e")),
        (Snooze(5), 4.0, ("FAILED", "deadline", "snoozed past the job's deadline")),
        (Snooze(5), 6.0, ("SCHEDULED", None, None)),
    ):
        one = attempt()
        one.deadline = Deadline(datetime.now(UTC), time.monotonic() + left)
        ending = ending_of(verdict, one, medium, 1000)
        assert (ending.status, ending.reason, ending.error) == expected


def test_an_attempt_runs_until_the_sooner_of_timeout_and_deadline():
    in_a_second = Deadline(datetime.now(UTC), time.monotonic() + 1)
    assert shortest_ms(500, in_a_second) == 500
    assert 900 <= shortest_ms(0, in_a_second) <= 1000
    assert 900 <= shortest_ms(5000, in_a_second) <= 1000
    assert (shortest_ms(0, None), shortest_ms(7, None)) == (0, 7)
    assert shortest_ms(0, Deadline(datetime.now(UTC), time.monotonic() - 1)) == 1


def test_a_low_job_is_not_lifted_by_failing():
    assert ending_of(Retry(), attempt(priority=1), medium, 10).priority == 1
    assert ending_of(Retry(), attempt(priority=5), keeping, 10).priority is None


def test_a_type_without_handler_is_retried_then_named():
    assert ending_of(Retry("no handler"), attempt(1), None, 10).status == "SCHEDULED"
    assert ending_of(Retry("no handler"), attempt(3), None, 10).reason == "unknown_job_type"


def test_a_released_attempt_burns_none():
    ending = released(attempt(2))
    assert (ending.status, ending.execution_status, ending.attempts_back) == ("PENDING", "RELEASED", 1)


def test_an_error_can_be_stored_whatever_it_says():
    text = error_text(ValueError("a\0b\ud800" + "x" * 100_000))
    assert len(text.encode()) <= 8 * 1024
    assert "\0" not in text


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "soon"])
def test_a_delay_that_is_none_is_refused(delay):
    with pytest.raises(InvalidInput):
        Snooze(delay)
    with pytest.raises(InvalidInput):
        Retry(delay=delay)


class Unprintable(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


async def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit(3), StopAsyncIteration(), TimeoutError("own"), Unprintable(), RecursionError()],
)
async def test_whatever_a_handler_raises_is_a_failed_attempt(error):
    verdict = await verdict_of(raising(error), 0, attempt())
    assert isinstance(verdict, Retry)
    assert type(error).__name__ in verdict.error


async def test_a_handlers_own_timeout_is_not_the_jobs():
    assert "timed out after" not in (await verdict_of(raising(TimeoutError("own")), 60_000, attempt())).error
    late = await verdict_of(asyncio.sleep(60), 1, attempt())
    assert late == Retry("timed out after 1 ms")


@pytest.mark.parametrize(("stop", "expected"), [("cancel", Cancel("cancelled while it ran")), (None, Retry)])
async def test_a_cancellation_is_what_it_was_asked_for(stop, expected):
    one = attempt()
    one.stop = stop
    verdict = await verdict_of(raising(asyncio.CancelledError()), 0, one)
    assert verdict == expected or type(verdict) is expected


@pytest.mark.parametrize("stop", ["lost", "release"])
async def test_a_lost_or_released_attempt_has_no_verdict(stop):
    one = attempt()
    one.stop = stop
    with pytest.raises(asyncio.CancelledError):
        await verdict_of(raising(asyncio.CancelledError()), 0, one)


def test_a_lost_lease_outranks_every_other_reason():
    one = attempt()
    one.cancel("cancel")
    one.cancel("release")
    assert one.stop == "cancel"
    one.cancel("lost")
    assert one.stop == "lost"


def test_a_result_over_the_limit_is_dead_with_the_numbers():
    ending = ending_of("x" * 9, attempt(), medium, 10)
    assert (ending.status, ending.reason) == ("FAILED", "invalid")
    assert ending.error == "result must be at most 10 bytes: 11"
    assert ending_of("x" * 8, attempt(), medium, 10).status == "COMPLETED"
