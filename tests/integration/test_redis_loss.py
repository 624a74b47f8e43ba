"""Redis is disposable: whatever it forgets, no job is lost and no outcome doubled."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import replace

import pytest
import redis

from tenure import Tenure, _reconcile
from tenure._engine import new_ids
from tests.invariants import assert_invariants


def steady_work(app, jobs: int, record: str = "before"):
    """A coroutine that enqueues jobs which take a moment each, while the caller breaks things, and returns them."""

    @app.job(max_retries=50, record=record)
    async def moment(number: int) -> int:
        await asyncio.sleep(random.uniform(0, 0.02))
        return number

    async def enqueue():
        made = []
        for number in range(jobs):
            made.append(await moment.enqueue(number))
            if number % 20 == 0:
                await asyncio.sleep(0.005)
        return made

    return enqueue


@pytest.mark.parametrize("record", ["before", "behind"])
async def test_flushall_at_any_instant(open_app, app, settings, private_valkey, raw_postgres, migrated_schema, record):
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))
    enqueue = steady_work(app, 500, record)
    await open_app(app)
    async with app.worker(concurrency=20):
        enqueueing = asyncio.create_task(enqueue())
        with redis.from_url(server.url) as client:
            for _ in range(6):
                await asyncio.sleep(random.uniform(0.02, 0.15))
                client.flushall()
                client.script_flush()
        for number, job in enumerate(await enqueueing):
            assert await job.result(timeout=30) == number
    await assert_invariants(raw_postgres, migrated_schema, jobs=500)


@pytest.mark.parametrize("keep", [True, False], ids=["with its log", "without its data"])
async def test_killed_and_restarted(open_app, settings, private_valkey, raw_postgres, migrated_schema, keep):
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))
    enqueue = steady_work(app, 400)
    await open_app(app)
    async with app.worker(concurrency=20):
        enqueueing = asyncio.create_task(enqueue())
        for _ in range(2):
            await asyncio.sleep(0.1)
            server.kill()
            if not keep:
                server.forget()
            await asyncio.sleep(0.3)
            server.start()
        for number, job in enumerate(await enqueueing):
            assert await job.result(timeout=30) == number
    await assert_invariants(raw_postgres, migrated_schema, jobs=400)


async def test_a_push_that_failed_is_repeated(open_app, settings, private_valkey, raw_postgres, migrated_schema):
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))

    @app.job()
    async def idle() -> int:
        return 1

    await open_app(app)
    async with app.worker():
        await (await idle.enqueue()).result(timeout=5)
        server.kill()
        # the enqueue succeeds: it is PostgreSQL's word that counts
        jobs = await asyncio.gather(*(idle.enqueue() for _ in range(20)))
        server.start()
        for job in jobs:
            assert await job.result(timeout=20) == 1
    await assert_invariants(raw_postgres, migrated_schema, jobs=21)


async def test_an_entry_that_vanished_alone_is_found_missing(open_app, app, settings, raw_redis, eventually):
    @app.job()
    async def idle() -> int:
        return 1

    await open_app(app)
    job = await idle.enqueue()
    ready = f"{settings.prefix}:{{default}}:medium-priority-queue"
    await eventually(lambda: raw_redis.zcard(ready) == 1)
    raw_redis.delete(ready)
    async with app.worker():
        # the reconciler looks every 5 s
        assert await job.result(timeout=15) == 1


async def test_a_doubled_entry_does_not_run_twice(
    open_app, app, settings, raw_redis, eventually, raw_postgres, migrated_schema
):
    runs = []

    @app.job()
    async def once(number: int) -> None:
        runs.append(number)

    await open_app(app)
    job = await once.enqueue(1)
    prefix = f"{settings.prefix}:{{default}}"
    await eventually(lambda: raw_redis.hlen(f"{prefix}:jobs") == 1)
    copy = raw_redis.hgetall(f"{prefix}:jobs")
    async with app.worker():
        await job.result(timeout=5)
        # a failover brought back what had been removed
        raw_redis.hset(f"{prefix}:jobs", mapping=copy)
        raw_redis.zadd(f"{prefix}:high-priority-queue", {job.id: 1})
        other = await once.enqueue(2)
        await other.result(timeout=5)
    assert runs == [1, 2]
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


async def test_a_job_that_changes_while_its_queue_is_built_stands_where_it_belongs(open_app, app, raw_redis, prefix):
    """Read as scheduled for tomorrow and retried before the queue is declared built, it is ready, not scheduled."""

    @app.job()
    async def work() -> int:
        return 7

    await open_app(app)
    stores = app._stores
    job = await work.options(delay=86_400).enqueue()
    await stores.rebuilder.settled()
    raw_redis.flushall()
    read = asyncio.Event()
    proceed = asyncio.Event()
    rebuild = stores.engine.rebuild

    async def slow_rebuild(queue, descriptors):
        pushed = await rebuild(queue, descriptors)
        read.set()
        await proceed.wait()
        return pushed

    stores.engine.rebuild = slow_rebuild
    stores.rebuilder.request("default")
    await asyncio.wait_for(read.wait(), 5)
    assert await app.admin.retry(job.id) == "SCHEDULED"
    stores.engine.rebuild = rebuild
    proceed.set()
    await stores.rebuilder.settled()
    depths = await stores.engine.depths("default")
    assert (depths.scheduled, depths.medium) == (0, 1)
    async with app.worker():
        assert await job.result(timeout=5) == 7


async def test_a_job_that_changes_just_before_its_queue_is_declared_built_is_pushed_again(
    open_app, app, raw_redis, prefix, eventually
):
    """Nobody reads the jobs again after that: its own push was refused, and comes once more."""

    @app.job()
    async def work() -> int:
        return 7

    await open_app(app)
    stores = app._stores
    job = await work.options(delay=86_400).enqueue()
    await stores.rebuilder.settled()
    raw_redis.flushall()
    all_read, proceed = asyncio.Event(), asyncio.Event()
    set_generation = stores.engine.set_generation

    async def late(queue):
        all_read.set()
        await proceed.wait()
        return await set_generation(queue)

    stores.engine.set_generation = late
    stores.rebuilder.request("default")
    await asyncio.wait_for(all_read.wait(), 5)
    assert await app.admin.retry(job.id) == "SCHEDULED"
    proceed.set()
    await stores.rebuilder.settled()
    await stores.publisher.drained()
    depths = await stores.engine.depths("default")
    assert (depths.scheduled, depths.medium) == (0, 1)
    async with app.worker():
        assert await job.result(timeout=5) == 7


async def test_redis_lost_again_just_as_its_queue_is_declared_built(open_app, app, raw_redis, prefix):
    """Whoever asked for the queue meanwhile was told that it is being built: the same rebuild does it again."""

    @app.job()
    async def work() -> int:
        return 7

    await open_app(app)
    stores = app._stores
    job, cancelled = await work.enqueue(), await work.enqueue()
    await stores.rebuilder.settled()
    raw_redis.flushall()
    declared: list[str] = []
    set_generation = stores.engine.set_generation

    async def lost_at_once(queue):
        if not declared:
            await app.admin.cancel(cancelled.id)
        await set_generation(queue)
        if not declared:
            raw_redis.flushall()
        declared.append(queue)

    stores.engine.set_generation = lost_at_once
    stores.rebuilder.request("default")
    await stores.rebuilder.settled()
    assert declared == ["default", "default"]
    depths = await stores.engine.depths("default")
    assert (depths.scheduled, depths.medium) == (0, 1)
    async with app.worker():
        assert await job.result(timeout=5) == 7


async def test_a_young_job_is_found_missing_while_looks_at_everything_are_too_dear(
    open_app, app, raw_redis, prefix, monkeypatch, eventually
):
    """Where vacuum may remove nothing, a look at all live jobs takes seconds: it waits, the look at young ones not."""

    @app.job()
    async def work() -> int:
        return 7

    await open_app(app)
    stores = app._stores
    reconciler = _reconcile.Reconciler(stores.database, stores.engine, "default")
    old, young = await work.enqueue(), await work.enqueue()
    await stores.rebuilder.settled()
    assert await reconciler.look() == 0
    ready, jobs = f"{prefix}:{{default}}:medium-priority-queue", f"{prefix}:{{default}}:jobs"
    raw_redis.delete(ready, jobs)
    reconciler._again = math.inf
    monkeypatch.setattr(_reconcile, "first_id_since", lambda _: young.id)
    assert await eventually(reconciler.look) == 1  # not before it is 2 s old: its own push may be on its way
    assert raw_redis.zrange(ready, 0, -1) == [young.id.encode()]
    reconciler._again = 0.0
    assert await reconciler.look() == 1
    assert set(raw_redis.zrange(ready, 0, -1)) == {old.id.encode(), young.id.encode()}


def test_the_first_id_since_a_moment_is_below_those_made_since():
    assert _reconcile.first_id_since(0.01) < new_ids(1)[0] < _reconcile.first_id_since(-10)
