"""The life of a job, from the enqueue to its end."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tenure import (
    Backoff,
    Cancel,
    Completed,
    Dead,
    InvalidInput,
    JobCancelled,
    JobContext,
    JobFailed,
    ResultTimeout,
    Retry,
    Snooze,
)
from tests.invariants import assert_invariants

SOON = Backoff(base=0.02, jitter="none")


@dataclass
class Point:
    """Something that JSON has no word for."""

    x: int
    y: int


@pytest.fixture
async def run(open_app, app):
    """Opens the app with a worker."""

    async def start(concurrency: int = 10, **options):
        await open_app(app)
        worker = app.worker(concurrency=concurrency, **options)
        await worker.start()
        started.append(worker)
        return worker

    started = []
    yield start
    for worker in started:
        await worker.stop(1.0)


async def test_a_result_comes_back(app, run, raw_postgres, migrated_schema):
    @app.job()
    async def add(a: int, b: int = 2) -> int:
        return a + b

    await run()
    jobs = await app.enqueue_many([add.request(n) for n in range(200)])
    assert [await job.result(timeout=10) for job in jobs] == [n + 2 for n in range(200)]
    await assert_invariants(raw_postgres, migrated_schema, jobs=200)


async def test_arguments_arrive_in_the_annotated_types(app, run):
    @app.job(payload_format="msgpack")
    async def span(points: list[Point], since: datetime) -> str:
        assert isinstance(points[0], Point)
        assert since.tzinfo is not None
        return f"{points[0].x}-{points[1].y}"

    await run()
    job = await span.enqueue([Point(1, 2), Point(3, 4)], since=datetime.now(UTC))
    assert await job.result(timeout=5) == "1-4"


async def test_a_payload_that_does_not_fit_is_dead_at_once(app, run):
    @app.job()
    async def strict(number: int) -> int:
        return number

    await run()
    job = await strict.enqueue("not a number")
    with pytest.raises(JobFailed, match="does not fit the handler"):
        await job.result(timeout=5)
    assert (await app.admin.dead_letter(job.id)).reason == "invalid"
    assert len(await job.executions()) == 1


async def test_a_failing_job_is_retried_then_buried(app, run, raw_postgres, migrated_schema):
    @app.job(max_retries=2, backoff=SOON, priority=5)
    async def fail(context: JobContext) -> None:
        raise ValueError(f"attempt {context.attempt}\0")

    await run()
    job = await fail.enqueue()
    with pytest.raises(JobFailed, match="attempt 3"):
        await job.result(timeout=10)
    audit = await job.executions()
    assert [(one.attempt, one.fence, one.status) for one in audit] == [(n, n, "FAILED") for n in (1, 2, 3)]
    letter = await app.admin.dead_letter(job.id)
    assert (letter.reason, letter.attempts) == ("exhausted", 3)
    # a retry comes back no higher than the medium band
    assert (await job.info()).priority == 3
    await assert_invariants(raw_postgres, migrated_schema, jobs=1)


async def test_a_retry_that_succeeds_completes(app, run):
    @app.job(backoff=SOON, priority=5, retry_priority="keep")
    def flaky(context: JobContext) -> int:
        if context.attempt < 3:
            raise OSError("not yet")
        return context.fence

    await run()
    job = await flaky.enqueue()
    assert await job.result(timeout=10) == 3
    assert (await job.info()).priority == 5


async def test_verdicts_are_values(app, run, raw_postgres, migrated_schema):
    seen = []

    @app.job(max_retries=1)
    async def judge(context: JobContext, verdict: str) -> object:
        seen.append(verdict)
        match verdict:
            case "completed":
                return Completed({"fine": True})
            case "snooze":
                return Completed(context.attempt) if seen.count("snooze") > 2 else Snooze(0.02)
            case "retry":
                return Completed(context.attempt) if context.attempt == 2 else Retry("again", delay=0.0)
            case "cancel":
                return Cancel("unwanted")
            case _:
                return Dead("hopeless")

    await run()
    jobs = {verdict: await judge.enqueue(verdict) for verdict in ("completed", "snooze", "retry", "cancel", "dead")}
    assert await jobs["completed"].result(timeout=5) == {"fine": True}
    # snoozing burns no attempt, but every lease has a fence of its own
    assert await jobs["snooze"].result(timeout=5) == 1
    assert [(one.attempt, one.fence) for one in await jobs["snooze"].executions()] == [(1, 1), (1, 2), (1, 3)]
    assert await jobs["retry"].result(timeout=5) == 2
    with pytest.raises(JobCancelled):
        await jobs["cancel"].result(timeout=5)
    with pytest.raises(JobFailed, match="hopeless"):
        await jobs["dead"].result(timeout=5)
    assert (await app.admin.dead_letter(jobs["dead"].id)).reason == "dead"
    await assert_invariants(raw_postgres, migrated_schema, jobs=5)


async def test_a_timeout_ends_the_attempt(app, run):
    cancelled = asyncio.Event()

    @app.job(timeout=0.05, max_retries=0)
    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await run()
    job = await slow.enqueue()
    with pytest.raises(JobFailed, match="timed out after 50 ms"):
        await job.result(timeout=5)
    assert cancelled.is_set()


async def test_a_plain_function_runs_in_a_thread(app, run):
    @app.job()
    def where() -> str:
        return threading.current_thread().name

    await run()
    assert (await (await where.enqueue()).result(timeout=5)).startswith("tenure-handler")


async def test_a_result_that_cannot_be_kept_is_dead(app, run):
    @app.job(max_retries=3)
    async def odd() -> object:
        return {"x": object()}

    await run()
    job = await odd.enqueue()
    with pytest.raises(JobFailed, match="result must be encodable"):
        await job.result(timeout=5)


async def test_a_job_type_without_a_handler_is_buried_with_the_reason(app, run, settings, open_app):
    from tenure import Tenure

    other = Tenure(settings)

    @other.job(max_retries=0)
    async def elsewhere() -> None: ...

    await run(queues=["default"])
    await open_app(other)
    job = await elsewhere.enqueue()
    with pytest.raises(JobFailed, match="elsewhere"):
        await job.result(timeout=5)
    assert (await app.admin.dead_letter(job.id)).reason == "unknown_job_type"


async def test_progress_is_recorded(app, run, eventually):
    go_on = asyncio.Event()

    @app.job()
    async def long(context: JobContext) -> None:
        with pytest.raises(InvalidInput):
            await context.progress(1.5)
        await context.progress(0.25, "a quarter")
        await go_on.wait()

    await run()
    job = await long.enqueue()

    async def quarter() -> bool:
        return (await job.info()).progress_note == "a quarter"

    await eventually(quarter)
    go_on.set()
    assert await job.result(timeout=5) is None


async def test_waiting_has_an_end(app, run):
    @app.job(queue="nobody")
    async def never() -> None: ...

    await run(queues=["default"])
    with pytest.raises(ResultTimeout):
        await (await never.enqueue()).result(timeout=0.05)


async def test_urgent_jobs_go_first_and_equals_in_their_order(app, run):
    order: list[tuple[int, int]] = []

    @app.job()
    async def note(priority: int, number: int) -> None:
        order.append((priority, number))

    await app.__aenter__()
    requests = [note.options(priority=1 + n % 5).request(1 + n % 5, n) for n in range(100)]
    jobs = await app.enqueue_many(requests)
    await app.close()
    await run(concurrency=1)
    for job in jobs:
        await job.result(timeout=10)
    assert order == sorted(order, key=lambda entry: (-entry[0], entry[1]))


async def test_an_idle_worker_is_woken_at_once(app, run):
    @app.job()
    async def quick() -> None: ...

    await run()
    loop = asyncio.get_running_loop()
    for _ in range(10):
        began = loop.time()
        await (await quick.enqueue()).result(timeout=5)
        # the idle poll is 5 s, the sweep behind lost messages 2 s: neither may be what brought this
        assert loop.time() - began < 1.5


async def test_recorded_behind_writes_once_and_slow_jobs_get_their_start(
    app, run, eventually, raw_postgres, migrated_schema
):
    go_on = asyncio.Event()

    @app.job(record="behind", backoff=SOON, max_retries=1)
    async def quick(context: JobContext, fail: bool = False) -> int:
        if fail:
            raise ValueError
        return context.fence

    @app.job(record="behind")
    async def slow(context: JobContext) -> None:
        await go_on.wait()

    await run()
    fast = [await quick.enqueue() for _ in range(20)]
    assert [await job.result(timeout=5) for job in fast] == [1] * 20
    failing = await quick.enqueue(fail=True)
    with pytest.raises(JobFailed):
        await failing.result(timeout=5)
    waiting = await slow.enqueue()

    async def started() -> bool:
        return await waiting.status() == "PROCESSING"

    await eventually(started)
    go_on.set()
    await waiting.result(timeout=5)
    await assert_invariants(raw_postgres, migrated_schema, jobs=22)
