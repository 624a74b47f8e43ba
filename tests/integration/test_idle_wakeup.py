"""Idle workers sleep, and as many are woken as there is work for."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest


@pytest.fixture
async def fleet(open_app, app, eventually, raw_redis, settings):
    """Ten workers of one slot each, all asleep, and how often each has asked for work."""
    ran: list[str] = []

    @app.job()
    async def quick() -> int:
        ran.append("quick")
        return 1

    await open_app(app)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(app.worker(concurrency=1)) for _ in range(10)]
        asked = [0] * len(workers)
        for number, worker in enumerate(workers):
            count(worker, asked, number)
        await eventually(lambda: raw_redis.zcard(f"{settings.prefix}:{{default}}:idle") == 10)
        yield quick, asked, workers


def count(worker, asked: list[int], number: int) -> None:
    """Count how often a worker asks for work."""
    lease = worker._engine.lease

    async def counted(*arguments):
        asked[number] += 1
        return await lease(*arguments)

    worker._engine.lease = counted


async def test_one_job_wakes_one_worker(fleet):
    quick, asked, _ = fleet
    loop = asyncio.get_running_loop()
    before = sum(asked)
    for _ in range(5):
        began = loop.time()
        assert await (await quick.enqueue()).result(timeout=5) == 1
        # the idle poll is 5 s, the sweep behind lost messages 2 s: neither may be what brought this
        assert loop.time() - began < 1.5
    # the one that is woken asks, and asks again when it is done; a herd would be 50 and more
    assert sum(asked) - before <= 5 * 4


async def test_many_jobs_wake_enough(fleet, app):
    quick, _, _ = fleet
    jobs = await app.enqueue_many([quick.request() for _ in range(100)])
    async with asyncio.timeout(5):
        assert [await job.result() for job in jobs] == [1] * 100


async def test_a_sleeping_worker_asks_for_nothing(fleet):
    _, asked, workers = fleet
    before = sum(asked)
    await asyncio.sleep(1.0)  # the subject of the test: a second without work
    assert sum(asked) - before <= len(workers)


async def test_a_delayed_job_wakes_a_worker_when_it_is_due(fleet):
    quick, _, _ = fleet
    loop = asyncio.get_running_loop()
    began = loop.time()
    job = await quick.options(delay=0.3).enqueue()
    assert await job.result(timeout=5) == 1
    assert 0.29 <= loop.time() - began < 2.5


async def test_a_job_without_delay_is_never_taken_for_a_scheduled_one(open_app, app, eventually, raw_redis, settings):
    """Its time is PostgreSQL's; it would wait for a promotion wherever Redis' clock shows a fraction less."""
    job_type = app.job(name="now")(lambda: None)
    await open_app(app)
    for _ in range(100):  # the two clocks differ by a rounding error here: some would be late
        await job_type.enqueue()
    queue = f"{settings.prefix}:{{default}}"
    await eventually(lambda: raw_redis.hlen(f"{queue}:jobs") == 100)
    assert raw_redis.zcard(f"{queue}:scheduled-queue") == 0
