"""A store that is away: one typed error, whoever asks; work goes on when it is back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest
import redis

from tenure import JobContext, StoreUnavailable, Tenure
from tenure._migrate import up
from tests.invariants import assert_invariants


async def test_enqueueing_while_postgres_is_away(open_app, settings, private_postgres, eventually):
    server = private_postgres()
    await up(server.url, settings.schema)
    app = Tenure(replace(settings, postgres_url=server.url))
    running, go_on = [], asyncio.Event()

    @app.job(max_retries=0)
    async def hold(number: int) -> int:
        running.append(number)
        await go_on.wait()
        return number

    await open_app(app)
    async with app.worker(concurrency=5):
        jobs = [await hold.enqueue(number) for number in range(5)]
        await eventually(lambda: len(running) == 5)
        await asyncio.to_thread(server.stop, "immediate")
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(
                *(hold.enqueue(number) for number in range(5)),
                app.enqueue_many([hold.request(9)]),
                hold.options(depends_on=jobs).enqueue(9),
                jobs[0].status(),
                jobs[0].cancel(),
                app.admin.stats(),
                return_exceptions=True,
            )
        assert {type(one) for one in outcomes} == {StoreUnavailable}
        # what ends meanwhile is kept until it can be settled
        go_on.set()
        await asyncio.to_thread(server.start)
        assert [await job.result(timeout=20) for job in jobs] == list(range(5))
        assert await (await hold.enqueue(7)).result(timeout=10) == 7
    assert {one.status for job in jobs for one in await job.executions()} == {"COMPLETED"}
    connection = await asyncpg.connect(server.url)
    await assert_invariants(connection, settings.schema, jobs=6)
    await connection.close()


async def test_redis_hangs_and_goes_on(open_app, settings, private_valkey, raw_postgres, migrated_schema):
    """Half open: connections stand and nothing is answered. Enqueueing is PostgreSQL's word and does not wait."""
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))

    @app.job(max_retries=10)
    async def quick(number: int) -> int:
        return number

    await open_app(app)
    async with app.worker():
        assert await (await quick.enqueue(0)).result(timeout=5) == 0
        server.pause()
        async with asyncio.timeout(3):
            jobs = [await quick.enqueue(number) for number in range(1, 21)]
        server.cont()
        assert [await job.result(timeout=30) for job in jobs] == list(range(1, 21))
    await assert_invariants(raw_postgres, migrated_schema, jobs=21)


async def test_every_execution_has_a_fence_of_its_own_through_flushes(
    open_app, settings, private_valkey, raw_postgres, migrated_schema, eventually
):
    """The witness is the handler: no lease is run twice, however often Redis forgets that it was given."""
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))
    ran: list[tuple[str, int]] = []

    @app.job(max_retries=50)
    async def note(context: JobContext) -> None:
        ran.append((context.job_id, context.fence))
        await asyncio.sleep(0.01)

    await open_app(app)
    flushed = 0
    async with app.worker(concurrency=10), app.worker(concurrency=10):
        jobs = await app.enqueue_many([note.request() for _ in range(500)])
        with redis.from_url(server.url) as client:
            for share in (20, 100, 200, 300, 400):
                await eventually(lambda share=share: len(ran) >= share, timeout=20)
                flushed += client.dbsize() > 0
                client.flushall()
        for job in jobs:
            await job.result(timeout=30)
    assert flushed >= 3, "Redis was empty when it was flushed: this run says nothing"
    assert len(ran) == len(set(ran))
    assert {job_id for job_id, _ in ran} == {job.id for job in jobs}
    await assert_invariants(raw_postgres, migrated_schema, jobs=500)


@pytest.mark.parametrize("verb", ["enqueue", "result"])
async def test_a_call_that_is_given_up_leaves_a_clean_connection(open_app, app, raw_postgres, migrated_schema, verb):
    """Cancelled at any instant, a call's reply is never taken for another one's."""

    @app.job()
    async def echo(number: int) -> int:
        return number

    async def ask(number: int) -> int:
        return await (await echo.enqueue(number)).result(timeout=20)

    await open_app(app)
    async with app.worker(concurrency=20):
        for number in range(150):
            call = asyncio.create_task(echo.enqueue(number) if verb == "enqueue" else ask(number))
            for _ in range(number % 15):
                await asyncio.sleep(0)
            call.cancel()
        answers = await asyncio.gather(*(ask(number) for number in range(1000, 1050)))
        assert answers == list(range(1000, 1050))
        for status in ("PENDING", "PROCESSING"):
            for info in await app.admin.list_jobs(status=status, limit=1000):
                await app.job_handle(info.job_id).result(timeout=10)
    await assert_invariants(raw_postgres, migrated_schema)
