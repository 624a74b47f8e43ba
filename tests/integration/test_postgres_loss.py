"""PostgreSQL goes away and comes back: nothing acknowledged is lost, workers go on without a restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg

from tenure import StoreUnavailable, Tenure
from tenure._migrate import up
from tests.invariants import assert_invariants


async def test_a_crash_under_load(open_app, settings, private_postgres):
    server = private_postgres()
    await up(server.url, settings.schema)
    app = Tenure(replace(settings, postgres_url=server.url))

    @app.job(max_retries=50)
    async def moment(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    acknowledged, refused = [], 0
    await open_app(app)
    async with app.worker(concurrency=20):
        crash = asyncio.create_task(asyncio.to_thread(crash_and_restart, server))
        for number in range(300):
            try:
                acknowledged.append((number, await moment.enqueue(number)))
            except StoreUnavailable:
                refused += 1
        await crash
        for number, job in acknowledged:
            assert await job.result(timeout=30) == number
    connection = await asyncpg.connect(server.url)
    await assert_invariants(connection, settings.schema)
    await connection.close()


def crash_and_restart(server) -> None:
    """A crash without a word, and back."""
    server.stop("immediate")
    server.start()


async def test_backends_cut_off_again_and_again(open_app, app, raw_postgres, migrated_schema):
    @app.job(max_retries=50)
    async def moment(number: int) -> int:
        return number

    await open_app(app)
    async with app.worker(concurrency=20):
        enqueueing = asyncio.create_task(app.enqueue_many([moment.request(n) for n in range(2000)]))
        jobs = await enqueueing
        for _ in range(10):
            await raw_postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'tenure' AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.03)
        for number, job in enumerate(jobs):
            assert await job.result(timeout=30) == number
    await assert_invariants(raw_postgres, migrated_schema, jobs=2000)
