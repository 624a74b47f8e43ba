"""A worker that lost its lease changes nothing, with any verb, and is told so."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tenure import Cancel, Completed, Dead, JobContext, LeaseLost, Retry, Snooze
from tenure._engine import new_ids
from tests.invariants import assert_invariants

VERBS = {
    "complete": Completed("late"),
    "fail": Retry("late", delay=0.0),
    "snooze": Snooze(0.0),
    "cancel": Cancel("late"),
    "dead": Dead("late"),
}


class Zombie:
    """A handler that stops beating, loses its lease, and goes on when another attempt has the job."""

    def __init__(self, app, name: str) -> None:
        self.app = app
        self.name = name
        self.contexts: dict[int, JobContext] = {}
        self.go_on = asyncio.Event()
        self.finish = asyncio.Event()
        self.refused: list[str] = []

    async def handle(self, context: JobContext, postgres_url: str) -> object:
        self.contexts[context.attempt] = context
        if context.attempt > 1:
            await self.finish.wait()
            return "second"
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                continue
        verbs = {"progress": lambda: context.progress(0.9), "guard": lambda: self.guard(context, postgres_url)}
        for name, verb in verbs.items():
            while name not in self.refused:
                try:
                    await verb()
                except LeaseLost:
                    self.refused.append(name)
                except asyncio.CancelledError:
                    continue  # a handler that will not stop
        return VERBS[self.name]

    async def guard(self, context: JobContext, postgres_url: str) -> None:
        # One of its own each time: a cancellation in the middle of a statement leaves no connection to go on with.
        connection = await asyncpg.connect(postgres_url)
        try:
            async with connection.transaction():
                await context.guard(connection)
        finally:
            connection.terminate()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_late_verdict_changes_nothing(
    open_app, app, eventually, raw_postgres, postgres_url, migrated_schema, caplog, verb
):
    zombie = Zombie(app, verb)

    @app.job()
    async def slow(context: JobContext) -> object:
        return await zombie.handle(context, postgres_url)

    await open_app(app)
    first, second = app.worker(concurrency=1), app.worker(concurrency=1)
    await first.start()
    job = await slow.enqueue()
    await eventually(lambda: 1 in zombie.contexts)
    # as a paused process: no beat, no maintenance, no new work
    first._engine.core.stop_heartbeat()
    await first._maintenance.stop()
    await first._feed.stop()
    await second.start()
    await eventually(lambda: 2 in zombie.contexts, timeout=15)
    before = await job.info()
    assert (before.fence, before.attempts) == (2, 2)
    zombie.go_on.set()
    await eventually(lambda: first.running == 0)
    await first._settler.drained()
    after = await job.info()
    assert after == before
    assert zombie.refused == ["progress", "guard"]
    assert any("lease lost" in message for message in caplog.messages)
    zombie.finish.set()
    assert await job.result(timeout=5) == "second"
    assert [(one.fence, one.status) for one in await job.executions()] == [(1, "LOST"), (2, "COMPLETED")]
    await first.stop(0.5)
    await second.stop(0.5)
    await assert_invariants(raw_postgres, migrated_schema, jobs=1)


async def test_a_guard_lets_the_holder_write_and_keeps_the_rescuer_out(open_app, app, raw_postgres):
    @app.job()
    async def guarded(context: JobContext) -> str:
        async with raw_postgres.transaction():
            await context.guard(raw_postgres)
            return await raw_postgres.fetchval("SELECT 'written'")

    await open_app(app)
    async with app.worker():
        assert await (await guarded.enqueue()).result(timeout=5) == "written"


async def test_a_handler_is_cancelled_when_its_lease_is_gone(open_app, app, eventually, raw_redis, settings):
    began, cancelled = asyncio.Event(), asyncio.Event()

    @app.job()
    async def long(context: JobContext) -> None:
        if context.attempt > 1:
            return
        began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await open_app(app)
    async with app.worker():
        job = await long.enqueue()
        processing = f"{settings.prefix}:{{default}}:processing-queue"
        # a lease that is gone before its handler begins cancels nothing
        await asyncio.wait_for(began.wait(), 10)
        # somebody else's rescue: the lease expired and was taken back
        raw_redis.zadd(processing, {f"{job.id}:1": 1})
        await asyncio.wait_for(cancelled.wait(), 10)
        assert await job.result(timeout=10) is None
        assert [one.status for one in await job.executions()] == ["LOST", "COMPLETED"]


async def test_no_statement_takes_a_fence_that_is_not_the_jobs(
    open_app, app, raw_postgres, migrated_schema, eventually
):
    """The last line, asked directly: behind it stands nothing that would stop a worker with a wrong belief."""
    running, go_on = asyncio.Event(), asyncio.Event()

    @app.job()
    async def hold() -> None:
        running.set()
        await go_on.wait()

    await open_app(app)
    fetch = app._open().database.fetch

    async def places(name: str, *args: object) -> list[int] | None:
        [row] = await fetch(name, *args)
        return row["places"]

    async with app.worker() as worker:
        waiting = await hold.options(delay=60).enqueue()
        for fence in (0, 2, 7):
            assert await places("start", [waiting.id], [fence], new_ids(1), worker.worker_id) is None
            columns = ([waiting.id], [fence], [None], [None], [1.0], new_ids(1), worker.worker_id, True)
            assert await places("record", *columns) is None
        job = await hold.enqueue()
        await asyncio.wait_for(running.wait(), 5)
        before = await job.info()
        for fence in (0, 2, 7):
            assert await fetch("guard", job.id, fence) == []
            assert await fetch("progress", [job.id], [fence], [0.9], ["late"]) == []
            assert await places("start", [job.id], [fence], new_ids(1), worker.worker_id) is None
            assert await places("complete", [job.id], [fence], [None], [None], [1.0], True) is None
            for status in ("PENDING", "SCHEDULED", "CANCELLED", "FAILED"):
                columns = ([status], ["FAILED"], ["late"], [0], [0], [None], [1.0], ["dead"], new_ids(1), True, [None])
                assert await fetch("settle", [job.id], [fence], *columns) == []
        assert await job.info() == before
        assert len(await fetch("guard", job.id, 1)) == 1
        go_on.set()
        await job.result(timeout=5)
        # and nothing goes on a job that has ended, whatever its fence
        assert await fetch("guard", job.id, 1) == []
        assert await places("complete", [job.id], [1], [None], [None], [1.0], True) is None
        assert await places("start", [job.id], [2], new_ids(1), worker.worker_id) is None
        await waiting.cancel()
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)
