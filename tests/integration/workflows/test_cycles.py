"""Cycles are refused by the database, whoever writes the edges."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest


async def edge(connection: asyncpg.Connection, schema: str, child: str, parent: str) -> None:
    await connection.execute(
        f"INSERT INTO {schema}.job_dependencies (job_id, depends_on_job_id) VALUES ($1, $2)", child, parent
    )


async def test_the_database_refuses_a_cycle(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    chain = [await step.enqueue()]
    for _ in range(4):
        chain.append(await step.options(depends_on=[chain[-1]]).enqueue())
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await edge(raw_postgres, migrated_schema, chain[0].id, chain[-1].id)
    assert refused.value.constraint_name == "job_dependencies_no_cycle"
    # what closes no circle may be written by hand, one after the other or at once
    other = await step.enqueue()
    await edge(raw_postgres, migrated_schema, chain[0].id, other.id)
    with pytest.raises(asyncpg.CheckViolationError):
        await edge(raw_postgres, migrated_schema, other.id, chain[2].id)
    ids = [f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in range(3)]
    async with raw_postgres.transaction():
        for job_id in ids:
            await raw_postgres.execute(
                f"INSERT INTO {migrated_schema}.jobs (job_id, job_type) VALUES ($1, 'a')", job_id
            )
        with pytest.raises(asyncpg.CheckViolationError):
            async with raw_postgres.transaction():
                await raw_postgres.execute(
                    f"""INSERT INTO {migrated_schema}.job_dependencies (job_id, depends_on_job_id)
                    VALUES ($1, $2), ($2, $3), ($3, $1)""",
                    *ids,
                )
        await raw_postgres.execute(
            f"""INSERT INTO {migrated_schema}.job_dependencies (job_id, depends_on_job_id)
            VALUES ($1, $2), ($2, $3), ($1, $3)""",
            *ids,
        )


async def test_two_who_close_a_circle_together_are_not_both_let_through(
    open_app, app, step, postgres_url, raw_postgres, migrated_schema, eventually
):
    await open_app(app)
    first, second = await step.enqueue(), await step.enqueue()
    other = await asyncpg.connect(postgres_url)
    try:
        async with raw_postgres.transaction():
            await edge(raw_postgres, migrated_schema, first.id, second.id)
            late = asyncio.ensure_future(edge(other, migrated_schema, second.id, first.id))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
            await eventually(lambda: raw_postgres.fetchval(waiting, other.get_server_pid()))
        with pytest.raises(asyncpg.CheckViolationError):
            await late
        async with other.transaction(isolation="repeatable_read"):
            with pytest.raises(asyncpg.InvalidTransactionStateError):
                await edge(other, migrated_schema, first.id, (await step.enqueue()).id)
    finally:
        await other.close()
