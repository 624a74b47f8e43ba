"""Jobs in the caller's own transaction: there after its commit, never before and never without."""

from __future__ import annotations

import asyncpg
import pytest

from tenure import InvalidInput
from tenure.errors import JobNotFound


@pytest.fixture
def idle(app):
    @app.job()
    async def idle(number: int = 0) -> int:
        return number

    return idle


@pytest.fixture
async def pool(postgres_url):
    """A pool of the caller's own: its connections are proxies."""
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=2) as pool:
        yield pool


async def test_a_pooled_connection_and_savepoints(open_app, app, idle, pool):
    await open_app(app)
    async with app.worker():
        async with pool.acquire() as connection, connection.transaction():
            async with connection.transaction():
                kept = await idle.options(connection=connection).enqueue(1)
            inner = connection.transaction()
            await inner.start()
            dropped = await idle.options(connection=connection).enqueue(2)
            await inner.rollback()
        # pushed by the commit, not found by the reconciler, which looks every 5 s
        assert await kept.result(timeout=3) == 1
        with pytest.raises(JobNotFound):
            await dropped.info()


async def test_nobody_sees_the_job_before_the_commit(open_app, app, idle, pool, raw_redis, settings):
    await open_app(app)
    async with app.worker():
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            job = await idle.options(connection=connection).enqueue(3)
            with pytest.raises(JobNotFound):
                await job.info()
            assert not raw_redis.hexists(f"{settings.prefix}:{{default}}:jobs", job.id)
            await transaction.commit()
        assert await job.result(timeout=3) == 3


async def test_a_connection_without_a_transaction_commits_at_once(open_app, app, idle, pool):
    await open_app(app)
    async with app.worker(), pool.acquire() as connection:
        job = await idle.options(connection=connection).enqueue(4)
        assert await job.result(timeout=3) == 4


async def test_dependencies_in_a_transaction(open_app, app, idle, pool):
    await open_app(app)
    outside = await idle.enqueue(5)
    async with app.worker():
        async with pool.acquire() as connection, connection.transaction():
            child = await idle.options(connection=connection, depends_on=[outside]).enqueue(6)
            grandchild = await idle.options(connection=connection, depends_on=[child]).enqueue(7)
        assert await grandchild.result(timeout=5) == 7


async def test_refused_input_leaves_the_transaction_usable(open_app, app, idle, pool):
    await open_app(app)
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(InvalidInput):
            await idle.options(connection=connection).enqueue(object())
        with pytest.raises(InvalidInput):
            await idle.options(connection=connection, depends_on=["01890a5d-ac96-774b-bcce-b302099a8051"]).enqueue()
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_key_that_is_taken_gives_the_job_that_has_it(open_app, app, idle, pool):
    await open_app(app)
    first = await idle.options(idempotency_key="k").enqueue(1)
    async with pool.acquire() as connection, connection.transaction():
        again = await idle.options(connection=connection, idempotency_key="k").enqueue(2)
    assert (again.id, again.created) == (first.id, False)
