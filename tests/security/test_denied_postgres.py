"""What the shipped PostgreSQL roles must not do: every role against every statement."""

from __future__ import annotations

from contextlib import suppress

import asyncpg
import pytest

from tenure._migrate import up
from tests.security.conftest import connected, run_psql

ID = "01890a5d-ac96-774b-bcce-b302099a8051"
EVERYBODY = ("producer", "waiter", "worker", "operator", "metrics")
# `{s}` is the schema, `{o}` another tenant's.
NOBODYS = (
    "DROP TABLE {s}.jobs",
    "DROP SCHEMA {s} CASCADE",
    "TRUNCATE {s}.jobs CASCADE",
    "ALTER TABLE {s}.jobs ADD COLUMN mine int",
    "ALTER TABLE {s}.jobs DISABLE TRIGGER ALL",
    "ALTER ROLE {s}_worker LOGIN SUPERUSER",
    "GRANT {s}_operator TO {s}_producer_login",
    "ALTER TABLE {s}.jobs OWNER TO CURRENT_USER",
    "CREATE TABLE {s}.mine (a int)",
    "CREATE FUNCTION {s}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION {s}.update_jobs_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE SCHEMA mine_{s}",
    "CREATE ROLE mine_{s}",
    "DELETE FROM {s}.jobs",
    "DELETE FROM {s}.job_executions",
    "DELETE FROM {s}.workers",
    "DELETE FROM {s}.leaders",
    "UPDATE {s}.leaders SET leadership = 'mine'",
    "UPDATE {s}.suspicions SET observer = 'mine'",
    "DELETE FROM {s}.job_dependencies",
    "UPDATE {s}.job_dependencies SET depends_on_job_id = job_id",
    "DELETE FROM {s}.workflows",
    "UPDATE {s}.workflows SET callback_job_id = NULL",
    "UPDATE {s}.jobs SET workflow_id = NULL",
    "DELETE FROM {s}.schema_migrations",
    "UPDATE {s}.schema_migrations SET checksum = 'x'",
    "UPDATE {s}.jobs SET payload = ''",
    "UPDATE {s}.jobs SET job_type = 'x'",
    "UPDATE {s}.jobs SET queue = 'x'",
    "UPDATE {s}.jobs SET job_id = gen_random_uuid()",
    "UPDATE {s}.jobs SET idempotency_key = NULL",
    "UPDATE {s}.jobs SET max_retries = 1000",
    "UPDATE {s}.job_executions SET fence = 1",
    "UPDATE {s}.job_executions SET worker_id = NULL",
    "UPDATE {s}.dead_letter_queue SET payload = ''",
    "UPDATE {s}.dead_letter_queue SET error = ''",
    "SELECT * FROM {o}.jobs",
    "SELECT job_id FROM {o}.jobs",
    "INSERT INTO {o}.jobs (job_id, job_type) VALUES (gen_random_uuid(), 'x')",
    "SELECT * FROM {o}.mark_stale_workers()",
    "SET ROLE postgres",
    "SET ROLE {s}_admin",
    "SET SESSION AUTHORIZATION postgres",
    "COPY {s}.workers TO PROGRAM 'cat'",
    "COPY {s}.workers FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM pg_authid",
    "SET session_replication_role = replica",
    "SELECT pg_reload_conf()",
)
FEW: dict[str, tuple[str, ...]] = {
    "SELECT result FROM {s}.jobs": ("waiter", "worker", "operator"),
    "SELECT error FROM {s}.jobs": ("waiter", "worker", "operator"),
    "SELECT payload FROM {s}.jobs": ("producer", "waiter", "worker", "operator"),
    "SELECT tags, metadata FROM {s}.jobs": ("worker", "operator"),
    "SELECT idempotency_key FROM {s}.jobs": ("producer", "waiter", "worker", "operator"),
    "SELECT error FROM {s}.job_executions": ("worker", "operator"),
    "SELECT payload FROM {s}.dead_letter_queue": ("worker", "operator"),
    "UPDATE {s}.jobs SET result = '', status = 'COMPLETED', completed_at = now()": ("worker",),
    "UPDATE {s}.jobs SET fence = fence + 1": ("worker",),
    "UPDATE {s}.jobs SET worker_id = NULL": ("worker",),
    "UPDATE {s}.jobs SET progress = 1": ("worker",),
    "UPDATE {s}.jobs SET cancel_requested_at = now()": ("operator",),
    "UPDATE {s}.jobs SET status = 'CANCELLED', completed_at = now()": ("worker", "operator"),
    "UPDATE {s}.jobs SET has_dependents = true": ("producer", "waiter", "worker"),
    "UPDATE {s}.jobs SET priority = 5, own_priority = 1": ("producer", "waiter", "worker", "operator"),
    "INSERT INTO {s}.workflows (workflow_id, jobs) VALUES (gen_random_uuid(), 1)": ("producer", "waiter", "worker"),
    "SELECT * FROM {s}.workflows": EVERYBODY,
    "SELECT {s}.inherited_priority(gen_random_uuid(), 5)": ("producer", "waiter", "worker", "operator"),
    "DELETE FROM {s}.dead_letter_queue": ("worker", "operator"),
    "INSERT INTO {s}.jobs (job_id, job_type) VALUES (gen_random_uuid(), 'x')": ("producer", "waiter", "worker"),
    "INSERT INTO {s}.jobs (job_id, job_type, fence) VALUES (gen_random_uuid(), 'x', 9)": (),
    "INSERT INTO {s}.jobs (job_id, job_type, result) VALUES (gen_random_uuid(), 'x', '')": (),
    "INSERT INTO {s}.job_executions (execution_id, job_id, fence, attempt) "
    "VALUES (gen_random_uuid(), gen_random_uuid(), 1, 1)": ("worker",),
    "INSERT INTO {s}.workers (worker_id, worker_name) VALUES (gen_random_uuid(), 'x')": ("worker",),
    "SELECT * FROM {s}.mark_stale_workers('1 day')": ("worker",),
    "UPDATE {s}.schedules SET next_at = now()": ("worker", "operator"),
    "UPDATE {s}.schedules SET paused = true": ("operator",),
    "DELETE FROM {s}.schedules": ("operator",),
    "INSERT INTO {s}.paused_queues (queue) VALUES ('a')": ("operator",),
    "DELETE FROM {s}.paused_queues": ("operator",),
    "SELECT * FROM {s}.schedules": ("worker", "operator"),
    "SELECT * FROM {s}.leaders": ("worker", "operator", "metrics"),
    "INSERT INTO {s}.leaders (leadership, term, holder) VALUES ('x', 1, 'x')": ("worker",),
    "UPDATE {s}.leaders SET term = term + 1": ("worker",),
    "SELECT * FROM {s}.suspicions": ("worker", "operator", "metrics"),
    "INSERT INTO {s}.suspicions (worker_id, observer, term, phi, dead) VALUES (gen_random_uuid(), 'x', 1, 9, true)": (
        "worker",
    ),
    "DELETE FROM {s}.suspicions": ("worker",),
    "SELECT queue, status, count(*) FROM {s}.jobs GROUP BY 1, 2": EVERYBODY,
    "SELECT * FROM {s}.workers": ("worker", "operator", "metrics"),
    "SELECT name FROM {s}.schema_migrations": EVERYBODY,
}


async def refused(connection, statement: str) -> bool:
    """Whether the role may not do it; whatever it does is undone."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError):
        return True
    except asyncpg.PostgresError as error:
        pytest.fail(f"neither done nor refused: {statement}: {error}")
    finally:
        with suppress(asyncpg.InterfaceError):
            await transaction.rollback()
    return False


@pytest.fixture
async def other(postgres_url, raw_postgres, schema):
    """Another tenant's schema in the same database, with roles of its own."""
    name = f"{schema}_o"
    await up(postgres_url, name)
    run_psql(postgres_url, name)
    yield name
    await raw_postgres.execute(f"DROP SCHEMA {name} CASCADE")
    for role in ("producer", "results", "worker", "operator", "metrics"):
        await raw_postgres.execute(f"DROP OWNED BY {name}_{role}; DROP ROLE {name}_{role}")


async def outcomes(roles, statements, schema, other) -> dict[str, tuple[str, ...]]:
    """By statement, who may."""
    may: dict[str, list[str]] = {statement: [] for statement in statements}
    for role in EVERYBODY:
        async with connected(roles[role]) as connection:
            for statement in statements:
                if not await refused(connection, statement.format(s=schema, o=other)):
                    may[statement].append(role)
    return {statement: tuple(who) for statement, who in may.items()}


async def test_what_nobody_may(postgres_roles, raw_postgres, migrated_schema, other):
    await raw_postgres.execute(f"CREATE ROLE {migrated_schema}_admin")
    try:
        may = await outcomes(postgres_roles, NOBODYS, migrated_schema, other)
    finally:
        await raw_postgres.execute(f"DROP ROLE {migrated_schema}_admin")
    assert {statement: who for statement, who in may.items() if who} == {}


async def test_what_some_may_and_others_not(postgres_roles, raw_postgres, migrated_schema, other):
    assert await outcomes(postgres_roles, FEW, migrated_schema, other) == FEW


async def test_the_file_may_be_applied_again_and_takes_back(
    postgres_roles, postgres_url, raw_postgres, migrated_schema
):
    """A right that somebody added by hand, or an older version gave, is gone after the next run."""
    schema = migrated_schema
    async with connected(postgres_roles["worker"]) as worker:
        await raw_postgres.execute(f"GRANT DELETE ON {schema}.workers TO {schema}_worker")
        await raw_postgres.execute(f"GRANT UPDATE (payload) ON {schema}.jobs TO {schema}_worker")
        assert not await refused(worker, f"DELETE FROM {schema}.workers")
        run_psql(postgres_url, schema)
        assert await refused(worker, f"DELETE FROM {schema}.workers")
        assert await refused(worker, f"UPDATE {schema}.jobs SET payload = ''")


async def test_functions_are_pinned(raw_postgres, migrated_schema):
    """No function looks a name up on its caller's search path, and but for one, which raises fences and does nothing
    else, none runs with its owner's rights.
    """
    rows = await raw_postgres.fetch(
        "SELECT proname, prosecdef, proconfig FROM pg_proc WHERE pronamespace = $1::regnamespace", migrated_schema
    )
    assert rows
    for row in rows:
        assert "search_path=pg_catalog" in row["proconfig"], row["proname"]
        assert row["prosecdef"] == (row["proname"] == "raise_fences"), row["proname"]
