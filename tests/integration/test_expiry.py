"""Jobs whose time is over: none is started late, none stays, none is retried past its deadline; snoozes are bounded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tenure import InvalidInput, JobCancelled, JobContext, JobFailed, Snooze
from tests.fix_waiting import has_status


@pytest.fixture
def ran() -> list[object]:
    return []


@pytest.fixture
def note(app, ran):
    @app.job()
    async def note(value: object = None) -> object:
        ran.append(value)
        return value

    return note


async def test_a_job_that_has_not_started_in_time_never_does(open_app, app, note, ran, raw_postgres, migrated_schema):
    await open_app(app)
    late = await note.options(expires_in=0.01).enqueue("late")
    named = await note.options(expires_at=datetime.now(UTC) - timedelta(days=1)).enqueue("named")
    soon = await note.options(expires_in=3600).enqueue("soon")
    await raw_postgres.execute("SELECT pg_sleep(0.02)")
    async with app.worker():
        assert await soon.result(timeout=5) == "soon"
        for job in (late, named):
            with pytest.raises(JobCancelled, match="expired, not started by 20"):
                await job.result(timeout=5)
            info = await job.info()
            assert (info.status, info.attempts, info.error[:7]) == ("CANCELLED", 0, "expired")
    assert ran == ["soon"]


async def test_the_start_is_refused_by_postgresql_and_the_job_ended_by_who_was_refused(
    open_app, app, note, ran, raw_postgres, migrated_schema, monkeypatch
):
    """Without any sweep: the lease itself finds it out."""
    monkeypatch.setattr("tenure._maintenance._EXPIRE", 3600.0)
    await open_app(app)
    async with app.worker():
        await (await note.enqueue("first")).result(timeout=5)  # the one sweep there is has been
        job = await note.options(expires_in=3600, delay=0.3).enqueue("late")
        await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET expires_at = now() WHERE job_id = $1", job.id)
        with pytest.raises(JobCancelled, match="expired"):
            await job.result(timeout=5)
    assert ran == ["first"]
    assert await job.executions() == []


async def test_expired_jobs_are_swept_in_batches_and_leave_nothing_in_redis(open_app, app, note, eventually):
    await open_app(app)
    requests = [note.options(expires_in=0.001, delay=3600).request(number) for number in range(1200)]
    jobs = await app.enqueue_many(requests)
    kept = await note.options(expires_in=3600, delay=3600).enqueue("kept")
    async with app.worker():

        async def swept() -> bool:
            return (await app.admin.stats())[0].jobs["CANCELLED"] == 1200

        await eventually(swept)
    assert await kept.status() == "SCHEDULED"
    assert (await app._open().engine.depths("default")).scheduled == 1
    assert await jobs[0].status() == "CANCELLED"


async def test_dependents_of_an_expired_job_are_treated_as_after_a_cancel(open_app, app, note, ran):
    await open_app(app)
    parent = await note.options(expires_in=0.001, delay=3600).enqueue("parent")
    cancelled = await note.options(depends_on=[parent], on_failure="cancel").enqueue("cancelled")
    run = await note.options(depends_on=[parent], on_failure="run").enqueue("run")
    held = await note.options(depends_on=[parent]).enqueue("held")
    waiting = await note.options(depends_on=[held], expires_in=0.001).enqueue("waiting")
    async with app.worker():
        assert await run.result(timeout=5) == "run"
        for job in (cancelled, waiting):
            with pytest.raises(JobCancelled):
                await job.result(timeout=5)
    assert await held.status() == "BLOCKED"
    assert ran == ["run"]


async def test_a_unique_key_is_free_when_its_job_expired(open_app, app, note, eventually):
    await open_app(app)
    keyed = note.options(unique="k", expires_in=0.001, delay=3600)
    first = await keyed.enqueue(1)
    async with app.worker():
        await eventually(lambda: has_status(first, "CANCELLED"))
        assert (await keyed.enqueue(2)).created


async def test_an_attempt_is_stopped_at_the_deadline_and_not_retried(open_app, app):
    seen: list[tuple[datetime | None, float | None]] = []

    @app.job(timeout=60, deadline_in=0.3)
    async def slow(context: JobContext) -> None:
        seen.append((context.deadline, context.remaining))
        await asyncio.Event().wait()

    await open_app(app)
    async with app.worker():
        job = await slow.enqueue()
        with pytest.raises(JobFailed, match="deadline passed while it ran"):
            await job.result(timeout=5)
    info = await job.info()
    [(deadline, remaining)] = seen
    assert (deadline, info.attempts) == (info.deadline_at, 1)
    assert 0 < remaining <= 0.3
    [letter] = await app.admin.dead_letters()
    assert (letter.job_id, letter.reason) == (job.id, "deadline")
    assert [one.status for one in await job.executions()] == ["FAILED"]


async def test_nothing_is_snoozed_past_the_deadline(open_app, app):
    @app.job(deadline_in=30)
    async def doze(seconds: float) -> object:
        return Snooze(seconds)

    await open_app(app)
    async with app.worker():
        fine, late = await doze.enqueue(20), await doze.enqueue(31)
        with pytest.raises(JobFailed, match="snoozed past the job's deadline"):
            await late.result(timeout=5)
        await _until(fine, "SCHEDULED")


async def _until(job, status: str) -> None:
    while await job.status() != status:
        await asyncio.sleep(0.02)


async def test_a_retry_that_waits_past_its_deadline_is_a_dead_letter(open_app, app, raw_postgres, migrated_schema, ran):
    @app.job(deadline_in=3600)
    async def fail() -> object:
        ran.append(1)
        return Snooze(3000)

    await open_app(app)
    async with app.worker():
        job = await fail.enqueue()
        await _until(job, "SCHEDULED")
        await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET deadline_at = now(), expires_at = now()")
        with pytest.raises(JobFailed, match="the deadline has passed: 20"):
            await job.result(timeout=5)
        # An operator may want it all the same: what he brings back has no deadline any more.
        assert await app.admin.retry(job.id) == "FAILED"
        await _until(job, "SCHEDULED")
        assert (await job.info()).deadline_at is None
    assert len(ran) == 2


async def test_a_snooze_burns_no_attempt_and_may_be_bounded(open_app, app, ran):
    @app.job(max_retries=0)
    async def doze(context: JobContext, most: int | None = None) -> object:
        ran.append(context.attempt)
        return Snooze(0.01, most=most) if len(ran) <= 10 else "awake"

    await open_app(app)
    async with app.worker():
        job = await doze.enqueue()
        assert await job.result(timeout=10) == "awake"
        assert ran == [1] * 11
        info = await job.info()
        assert (info.attempts, info.fence, info.snoozes) == (1, 11, 10)
        ran.clear()
        tired = await doze.enqueue(3)
        with pytest.raises(JobFailed, match="snoozed more than 3 times"):
            await tired.result(timeout=10)
    assert ran == [1] * 4
    [letter] = await app.admin.dead_letters()
    assert letter.reason == "dead"


@pytest.mark.parametrize(
    "options",
    [
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": float("nan")},
        {"expires_in": 1, "expires_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - that is the point
        {"deadline_in": timedelta(0)},
        {"deadline_in": 1, "deadline_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"deadline_at": datetime(3030, 1, 1, tzinfo=UTC)},
    ],
)
def test_times_that_are_none_are_refused(note, options):
    with pytest.raises(InvalidInput, match=r"expires_|deadline_"):
        note.options(**options)


async def test_what_is_recorded_behind_has_no_time(open_app, app):
    @app.job(record="behind")
    async def quick() -> None: ...

    await open_app(app)
    with pytest.raises(InvalidInput, match="record='behind'"):
        await quick.options(expires_in=1).enqueue()
