"""Paused queues: nothing is leased, whatever happens to Redis, until they are resumed."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tenure._reconcile import Reconciler
from tenure.errors import InvalidInput
from tests.fix_apps import environment
from tests.fix_waiting import pushed
from tests.integration.test_cli_worker import tenure


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
async def work(app, open_app, ran):
    @app.job()
    async def work(number: int) -> int:
        ran.append(number)
        return number

    await open_app(app)
    return work


async def test_a_paused_queue_leases_nothing_and_wakes_nobody(app, work, ran, raw_redis, prefix, eventually):
    idle = f"{prefix}:{{default}}:idle"
    async with app.worker() as worker:
        assert await (await work.enqueue(0)).result(timeout=5) == 0
        await eventually(lambda: raw_redis.zcard(idle) == 1)
        await app.admin.queues.pause("default", "the shop is closed")
        assert raw_redis.zcard(idle) == 0
        job = await work.enqueue(1)
        await pushed(app)
        # what a worker that looks by itself would get
        assert (await worker._engine.lease("default", 5)).leases == []
        assert raw_redis.zcard(idle) == 0
        [paused] = await app.admin.queues.paused()
        assert (paused.queue, paused.reason) == ("default", "the shop is closed")
        assert await app.admin.queues.resume("default") is True
        # woken, for its own look may be 6 s away
        assert await job.result(timeout=3) == 1
        assert await app.admin.queues.resume("default") is False
    assert ran == [0, 1]


async def test_what_runs_goes_on_and_is_settled(app, open_app, eventually):
    gate = asyncio.Event()

    @app.job()
    async def gated() -> int:
        await gate.wait()
        return 7

    await open_app(app)
    async with app.worker() as worker:
        job = await gated.enqueue()
        await eventually(lambda: worker.running == 1)
        await app.admin.queues.pause("default")
        gate.set()
        assert await job.result(timeout=5) == 7


async def test_it_stays_paused_when_redis_is_lost(app, work, ran, raw_redis, eventually):
    await app.admin.queues.pause("default")
    async with app.worker() as worker:
        raw_redis.flushall()
        job = await work.enqueue(1)
        await eventually(lambda: app._stores.engine.has_generation("default"))
        await app._stores.rebuilder.settled()
        depths = await app._stores.engine.depths("default")
        assert (depths.medium, ran, worker.running) == (1, [], 0)
        await app.admin.queues.resume("default")
        assert await job.result(timeout=3) == 1


async def test_redis_is_brought_after_a_pause_that_it_was_not_told_of(app, work, ran, raw_postgres, migrated_schema):
    async with app.worker() as worker:
        assert await (await work.enqueue(0)).result(timeout=5) == 0
        await raw_postgres.execute(f"INSERT INTO {migrated_schema}.paused_queues (queue) VALUES ('default')")
        await Reconciler(app._stores.database, app._stores.engine, "default").look()
        await work.enqueue(1)
        await pushed(app)
        assert (await worker._engine.lease("default", 5)).leases == []
    assert ran == [0]


async def test_names_and_reasons_have_their_limits(app, work):
    with pytest.raises(InvalidInput, match="queue"):
        await app.admin.queues.pause("no such name")
    with pytest.raises(InvalidInput, match="reason"):
        await app.admin.queues.pause("default", "x" * 1025)
    assert await app.admin.queues.paused() == []


async def test_from_the_command_line(app, work, settings):
    async def queue(*arguments: str) -> str:
        command = (sys.executable, "-m", "tenure", "queue", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode()

    assert await queue("pause", "default", "--reason", "[red]stock-taking") == "paused: default\n"
    [paused] = await tenure(settings, "queue", "list")
    assert (paused["queue"], paused["reason"]) == ("default", "[red]stock-taking")
    assert "[red]stock-taking" in await queue("list")
    assert await queue("resume", "default") == "resumed: default\n"
    assert await queue("resume", "default") == "was not paused: default\n"
