"""Handlers that do what handlers should not: the attempt fails, the worker and its other jobs go on."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from tenure import Backoff, JobContext, JobFailed
from tests.invariants import assert_invariants


@pytest.mark.parametrize("error", [StopIteration, SystemExit, RecursionError, MemoryError])
async def test_a_plain_handler_may_raise_anything(open_app, app, raw_postgres, migrated_schema, error):
    @app.job(max_retries=0)
    def odd() -> None:
        raise error

    @app.job()
    async def fine() -> int:
        return 1

    await open_app(app)
    async with app.worker() as worker:
        job = await odd.enqueue()
        with pytest.raises(JobFailed, match=error.__name__):
            await job.result(timeout=5)
        assert worker.running == 0
        assert await (await fine.enqueue()).result(timeout=5) == 1
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


async def test_an_async_handler_that_exits_fails(open_app, app):
    @app.job(max_retries=0)
    async def leave() -> None:
        raise SystemExit(3)

    await open_app(app)
    async with app.worker():
        with pytest.raises(JobFailed, match="SystemExit: 3"):
            await (await leave.enqueue()).result(timeout=5)


async def test_a_thread_that_outlives_its_timeout_keeps_its_slot(open_app, app, eventually):
    go_on = threading.Event()

    @app.job(timeout=0.05, max_retries=0)
    def stuck() -> None:
        go_on.wait(20)

    @app.job()
    async def quick() -> int:
        return 1

    await open_app(app)
    async with app.worker(concurrency=1) as worker:
        with pytest.raises(JobFailed, match="timed out"):
            await (await stuck.enqueue()).result(timeout=5)
        waiting = await quick.enqueue()
        # its thread goes on, so there is no slot for another job
        assert worker.free_slots() == 0
        assert await waiting.status() == "PENDING"
        go_on.set()
        assert await waiting.result(timeout=5) == 1


async def test_a_handler_that_swallows_its_timeout_is_believed(open_app, app):
    @app.job(timeout=0.05, max_retries=0)
    async def swallow() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(20)
        return "done all the same"

    await open_app(app)
    async with app.worker():
        assert await (await swallow.enqueue()).result(timeout=5) == "done all the same"


async def test_endings_of_one_batch_do_not_depend_on_each_other(open_app, app, raw_postgres, migrated_schema):
    @app.job(max_retries=1, backoff=Backoff(base=0.01, jitter="none"))
    async def mixed(context: JobContext, number: int) -> object:
        match number % 4:
            case 0:
                raise ValueError("\0\ud800 no text that a database would take")
            case 1:
                return {"x": object()}
            case 2:
                return "\0"
            case _:
                return number

    await open_app(app)
    jobs = await app.enqueue_many([mixed.request(number) for number in range(40)])
    async with app.worker(concurrency=40):
        outcomes = await asyncio.gather(*(job.result(timeout=10) for job in jobs), return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        assert outcome == number if number % 4 == 3 else isinstance(outcome, JobFailed)
    assert {len(await job.executions()) for job in jobs[::4]} == {2}
    assert {len(await job.executions()) for job in jobs[1::4]} == {1}
    await assert_invariants(raw_postgres, migrated_schema, jobs=40)
