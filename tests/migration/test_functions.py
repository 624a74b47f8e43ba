"""The three functions and the trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.migration.rows import insert, job

if TYPE_CHECKING:
    import asyncpg

LIVE = ("STARTING", "ACTIVE", "DEGRADED", "DRAINING", "SUSPECT")


async def runnable(connection: asyncpg.Connection, schema: str, most: int = 100) -> list[Any]:
    """The ids that `get_runnable_jobs` gives, in its order."""
    return [row["job_id"] for row in await connection.fetch(f"SELECT * FROM {schema}.get_runnable_jobs($1)", most)]


async def depend(connection: asyncpg.Connection, schema: str, child: object, parent: object) -> None:
    """Make one job wait for another."""
    await insert(connection, schema, "job_dependencies", job_id=f"'{child}'", depends_on_job_id=f"'{parent}'")


async def test_runnable_order(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Best priority first, then what has been due longest, then the older id."""
    s = migrated_schema
    ids = {name: f"0190000{number}-0000-7000-8000-000000000000" for number, name in enumerate("abcde")}
    late, early = "now() - interval '1 minute'", "now() - interval '2 minutes'"
    await job(raw_postgres, s, job_id=f"'{ids['a']}'", priority="1", run_at=early)
    await job(raw_postgres, s, job_id=f"'{ids['d']}'", priority="3", run_at="'2020-01-01Z'")
    await job(raw_postgres, s, job_id=f"'{ids['c']}'", priority="3", run_at="'2020-01-01Z'")
    await job(raw_postgres, s, job_id=f"'{ids['b']}'", priority="3", run_at=late)
    await job(raw_postgres, s, job_id=f"'{ids['e']}'", priority="5", run_at=late)
    assert [str(one) for one in await runnable(raw_postgres, s)] == [ids[name] for name in "ecdba"]
    assert [str(one) for one in await runnable(raw_postgres, s, 2)] == [ids[name] for name in "ec"]
    assert await runnable(raw_postgres, s, 0) == []


async def test_runnable_states(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Ready jobs and scheduled ones that are due, nothing else."""
    s = migrated_schema
    ready = await job(raw_postgres, s)
    due = await job(raw_postgres, s, status="'SCHEDULED'", run_at="now() + interval '-1 second'", priority="1")
    await job(raw_postgres, s, status="'SCHEDULED'", run_at="now() + interval '1 hour'")
    await job(raw_postgres, s, status="'BLOCKED'", pending_dependencies="1")
    await job(raw_postgres, s, status="'PROCESSING'", worker_id="gen_random_uuid()")
    for ended in ("COMPLETED", "FAILED", "CANCELLED"):
        await job(raw_postgres, s, status=f"'{ended}'", completed_at="now()")
    assert await runnable(raw_postgres, s) == [ready, due]


async def test_runnable_dependencies(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A job with one unsatisfied dependency of two is not runnable, whatever its status says."""
    s = migrated_schema
    parents = [await job(raw_postgres, s, status="'COMPLETED'", completed_at="now()") for _ in range(2)]
    child = await job(raw_postgres, s)
    for parent in parents:
        await depend(raw_postgres, s, child, parent)
    satisfy = f"UPDATE {s}.job_dependencies SET satisfied_at = now() WHERE depends_on_job_id = $1"
    assert await runnable(raw_postgres, s) == []
    await raw_postgres.execute(satisfy, parents[0])
    assert await runnable(raw_postgres, s) == []
    await raw_postgres.execute(satisfy, parents[1])
    assert await runnable(raw_postgres, s) == [child]


async def test_runnable_limit_defaults_to_100(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Without an argument it gives a hundred."""
    s = migrated_schema
    await raw_postgres.execute(
        f"INSERT INTO {s}.jobs (job_id, job_type) SELECT gen_random_uuid(), 'a' FROM generate_series(1, 101)"
    )
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {s}.get_runnable_jobs()") == 100


@pytest.mark.parametrize("status", LIVE)
async def test_stale_worker_is_failed(migrated_schema: str, raw_postgres: asyncpg.Connection, status: str) -> None:
    """A live worker whose heartbeat is old is declared failed, once."""
    s = migrated_schema
    old = "now() - interval '61 seconds'"
    stale = (await insert(raw_postgres, s, "workers", status=f"'{status}'", last_heartbeat=old))["worker_id"]
    await insert(raw_postgres, s, "workers", status=f"'{status}'", last_heartbeat="now() - interval '30 seconds'")
    call = f"SELECT worker_id FROM {s}.mark_stale_workers()"
    assert [row["worker_id"] for row in await raw_postgres.fetch(call)] == [stale]
    assert await raw_postgres.fetch(call) == []
    row = await raw_postgres.fetchrow(f"SELECT status, stopped_at FROM {s}.workers WHERE worker_id = $1", stale)
    assert row is not None
    assert row["status"] == "FAILED"
    assert row["stopped_at"] is not None


async def test_stopped_worker_stays_stopped(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A worker that has ended is not declared failed, and the age is the caller's to choose."""
    s = migrated_schema
    for status in ("STOPPED", "FAILED"):
        await insert(raw_postgres, s, "workers", status=f"'{status}'", last_heartbeat="now() - interval '1 day'")
    assert await raw_postgres.fetch(f"SELECT * FROM {s}.mark_stale_workers()") == []
    fresh = (await insert(raw_postgres, s, "workers", last_heartbeat="now() - interval '5 seconds'"))["worker_id"]
    found = await raw_postgres.fetch(f"SELECT * FROM {s}.mark_stale_workers('2 seconds')")
    assert [row["worker_id"] for row in found] == [fresh]


async def test_trigger_sets_updated_at(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Whoever forgets updated_at gets it set; whoever sets it is left alone."""
    s = migrated_schema
    job_id = await job(raw_postgres, s, updated_at="'2020-01-01Z'")
    change = f"UPDATE {s}.jobs SET error = 'x' WHERE job_id = $1 RETURNING updated_at > now() - interval '1 minute'"
    assert await raw_postgres.fetchval(change, job_id)
    change = f"UPDATE {s}.jobs SET updated_at = '2021-01-01Z' WHERE job_id = $1 RETURNING updated_at = '2021-01-01Z'"
    assert await raw_postgres.fetchval(change, job_id)


@pytest.mark.parametrize("call", ["get_runnable_jobs()", "mark_stale_workers()"])
async def test_functions_do_not_trust_the_search_path(
    migrated_schema: str, raw_postgres: asyncpg.Connection, call: str
) -> None:
    """A caller whose search path holds tables of the same names gets the schema's own."""
    await raw_postgres.execute("CREATE TEMP TABLE jobs (x int); CREATE TEMP TABLE workers (x int)")
    assert await raw_postgres.fetch(f"SELECT * FROM {migrated_schema}.{call}") == []
