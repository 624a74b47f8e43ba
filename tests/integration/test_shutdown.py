"""A worker that stops: what runs may end, the rest is given back, no attempt is burnt, nothing is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.invariants import assert_invariants


@pytest.mark.parametrize("record", ["before", "behind"])
async def test_what_does_not_end_in_time_is_given_back(
    open_app, app, eventually, raw_postgres, migrated_schema, record
):
    running, go_on, cancelled = 0, asyncio.Event(), 0

    @app.job(record=record, max_retries=0)
    async def long(number: int) -> int:
        nonlocal running, cancelled
        running += 1
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return number

    await open_app(app)
    jobs = await app.enqueue_many([long.request(number) for number in range(20)])
    leaving = app.worker(concurrency=5)
    await leaving.start()
    await eventually(lambda: running == 5)
    await leaving.stop(0.05)
    assert cancelled == 5
    assert {(info.status, info.attempts) for info in [await job.info() for job in jobs]} == {("PENDING", 0)}
    go_on.set()
    # max_retries is 0: one burnt attempt would bury its job
    async with app.worker():
        assert [await job.result(timeout=10) for job in jobs] == list(range(20))
    audits = [[(one.attempt, one.status) for one in await job.executions()] for job in jobs]
    assert sum(audit == [(1, "RELEASED"), (1, "COMPLETED")] for audit in audits) == 5
    assert sum(audit == [(1, "COMPLETED")] for audit in audits) == 15
    await assert_invariants(raw_postgres, migrated_schema, jobs=20)


async def test_what_ends_within_the_grace_time_is_completed(open_app, app, eventually):
    go_on, running = asyncio.Event(), asyncio.Event()

    @app.job()
    async def long() -> int:
        running.set()
        await go_on.wait()
        return 1

    await open_app(app)
    job = await long.enqueue()
    leaving = app.worker()
    await leaving.start()
    await running.wait()
    stopping = asyncio.create_task(leaving.stop(20))

    async def draining() -> bool:
        return [worker.status for worker in await app.admin.workers()] == ["DRAINING"]

    await eventually(draining)
    late = await long.enqueue()
    go_on.set()
    await stopping
    assert await job.status() == "COMPLETED"
    # it leased nothing any more
    assert await late.status() == "PENDING"
    assert await late.executions() == []


async def test_a_worker_that_was_stopped_at_once_leaves_nothing_behind(open_app, app, raw_postgres, migrated_schema):
    @app.job(max_retries=0)
    async def moment(number: int) -> int:
        await asyncio.sleep(0.002)
        return number

    await open_app(app)
    jobs = await app.enqueue_many([moment.request(number) for number in range(300)])
    for _ in range(8):
        worker = app.worker(concurrency=20)
        await worker.start()
        await asyncio.sleep(0)
        await worker.stop(0.0)
    async with app.worker(concurrency=50):
        assert [await job.result(timeout=20) for job in jobs] == list(range(300))
    await assert_invariants(raw_postgres, migrated_schema, jobs=300)


async def test_a_thread_that_cannot_be_stopped_changes_nothing_afterwards(open_app, app, eventually):
    go_on, running = threading.Event(), threading.Event()

    @app.job()
    def stuck() -> str:
        running.set()
        go_on.wait(20)
        return "late"

    await open_app(app)
    job = await stuck.enqueue()
    leaving = app.worker(concurrency=1)
    await leaving.start()
    await eventually(running.is_set)
    await leaving.stop(0.05)
    assert await job.status() == "PENDING"
    go_on.set()
    assert await job.status() == "PENDING"
    async with app.worker():
        assert await job.result(timeout=5) == "late"
    assert [one.status for one in await job.executions()] == ["RELEASED", "COMPLETED"]
