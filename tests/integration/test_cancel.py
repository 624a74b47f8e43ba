"""Cancelling, in every state."""

from __future__ import annotations

import asyncio

import pytest

from tenure import JobCancelled, JobContext
from tenure.errors import IllegalTransition, JobNotFound
from tests.invariants import assert_invariants


async def test_what_waits_is_cancelled_at_once(
    open_app, app, eventually, raw_postgres, migrated_schema, settings, raw_redis
):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    ready = await idle.enqueue()
    scheduled = await idle.options(delay=60).enqueue()
    blocked = await idle.options(depends_on=[scheduled], on_failure="cancel").enqueue()
    held = await idle.options(depends_on=[ready]).enqueue()
    assert await held.cancel() == "CANCELLED"
    assert await ready.cancel() == "CANCELLED"
    assert await scheduled.cancel() == "CANCELLED"
    # the policy takes the dependent along
    assert await blocked.status() == "CANCELLED"
    with pytest.raises(IllegalTransition):
        await ready.cancel()
    with pytest.raises(JobNotFound):
        await app.job_handle("01890a5d-ac96-774b-bcce-b302099a8051").cancel()
    with pytest.raises(JobCancelled):
        await blocked.result(timeout=5)
    # A queue that is being built meanwhile, as it is here, forgets what was cancelled when it is built.
    await eventually(lambda: raw_redis.hlen(f"{settings.prefix}:{{default}}:jobs") == 0)
    await assert_invariants(raw_postgres, migrated_schema, jobs=4)


async def test_a_running_handler_is_cancelled(open_app, app, eventually):
    running, stopped = asyncio.Event(), asyncio.Event()

    @app.job()
    async def long(context: JobContext) -> None:
        running.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    await open_app(app)
    async with app.worker():
        job = await long.enqueue()
        await asyncio.wait_for(running.wait(), 5)
        assert await job.cancel() == "PROCESSING"
        with pytest.raises(JobCancelled):
            await job.result(timeout=5)
        assert stopped.is_set()
        assert [one.status for one in await job.executions()] == ["CANCELLED"]


async def test_a_failing_job_whose_cancellation_was_asked_for_does_not_come_back(open_app, app):
    running = asyncio.Event()

    @app.job()
    async def swallows(context: JobContext) -> None:
        running.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise ValueError("something else") from None

    await open_app(app)
    async with app.worker():
        job = await swallows.enqueue()
        await asyncio.wait_for(running.wait(), 5)
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job.result(timeout=5)


async def test_a_cancelled_job_can_be_retried(open_app, app):
    @app.job()
    async def idle() -> int:
        return 7

    await open_app(app)
    job = await idle.enqueue()
    await job.cancel()
    assert await app.admin.retry(job.id) == "CANCELLED"
    async with app.worker():
        assert await job.result(timeout=5) == 7
    with pytest.raises(IllegalTransition):
        await app.admin.retry(job.id)
