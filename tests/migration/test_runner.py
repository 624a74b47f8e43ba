"""Up, down, again, at once, and beside what others have in the same schema."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tenure import _catalogue
from tenure._migrate import down, known, offline_sql, status, up, verify
from tenure.errors import Backpressure, ConfigurationError, InvalidInput, MigrationError

if TYPE_CHECKING:
    import asyncpg

FIRST_PHASE = {"tables": 5, "indexes": 21, "functions": 3, "triggers": 1}
NAMES = [step.name for step in known("gap006")]


async def objects(connection: asyncpg.Connection, schema: str) -> list[_catalogue.Item]:
    """Everything in a schema but the bookkeeping."""
    async with connection.transaction(readonly=True):
        return await _catalogue.read(connection, schema)


async def relations(connection: asyncpg.Connection, schema: str) -> set[str]:
    """The names of a schema's tables, the bookkeeping included."""
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return {row["tablename"] for row in rows}


async def schema_exists(connection: asyncpg.Connection, schema: str) -> bool:
    """Whether there is such a schema."""
    return bool(await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema))


async def test_first_phase_is_exact(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """001 to 005 make five tables, 21 indexes, three functions and one trigger, by their names."""
    assert await up(postgres_url, schema, to=5) == NAMES[:5]
    items = await objects(raw_postgres, schema)
    assert _catalogue.count(items) == FIRST_PHASE
    assert [item.name for item in items if item.kind == "table"] == [
        "dead_letter_queue",
        "job_dependencies",
        "job_executions",
        "jobs",
        "workers",
    ]
    assert {item.name.partition("(")[0] for item in items if item.kind == "function"} == {
        "get_runnable_jobs",
        "mark_stale_workers",
        "update_jobs_updated_at",
    }
    assert [item.name for item in items if item.kind == "trigger"] == ["jobs.trigger_jobs_updated_at"]
    # Counted the way the system's own views do, too.
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = $1 AND tablename <> 'schema_migrations'"
    assert await raw_postgres.fetchval(indexes, schema) == 21


async def test_up_down_up_is_equal(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """What the way down leaves is nothing, and the second way up makes what the first one made."""
    await up(postgres_url, schema)
    first = await objects(raw_postgres, schema)
    assert await down(postgres_url, schema, to=0) == NAMES[::-1]
    assert not await schema_exists(raw_postgres, schema)
    await up(postgres_url, schema)
    assert await objects(raw_postgres, schema) == first


@pytest.mark.parametrize("number", range(1, len(NAMES)))
async def test_each_step_is_reversible(
    postgres_url: str, schema: str, raw_postgres: asyncpg.Connection, number: int
) -> None:
    """A step's way down takes away what its way up made, and nothing else."""
    await up(postgres_url, schema, to=number)
    before = await objects(raw_postgres, schema)
    await up(postgres_url, schema, to=number + 1)
    assert await objects(raw_postgres, schema) != before
    assert await down(postgres_url, schema, to=number) == [NAMES[number]]
    assert await objects(raw_postgres, schema) == before


async def test_repetition_changes_nothing(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Up again and again applies nothing, and down again undoes nothing."""
    assert await up(postgres_url, schema) == NAMES
    first = await status(postgres_url, schema)
    items = await objects(raw_postgres, schema)
    for _ in range(3):
        assert await up(postgres_url, schema) == []
    assert await status(postgres_url, schema) == first
    assert await objects(raw_postgres, schema) == items
    await down(postgres_url, schema, to=0)
    assert await down(postgres_url, schema, to=0) == []


async def test_twenty_at_once(postgres_url: str, schema: str) -> None:
    """Of twenty migrators that start together one does the work, and all succeed."""
    done = await asyncio.gather(*(up(postgres_url, schema, lock_timeout=30) for _ in range(20)))
    assert sorted(filter(None, done)) == [NAMES]
    assert (await verify(postgres_url, schema)).problems == []


async def test_data_survive_a_step(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """Rows that are there before a later migration are there after it, up and down."""
    await up(postgres_url, schema, to=5)
    await raw_postgres.execute(f"INSERT INTO {schema}.jobs (job_id, job_type) VALUES (gen_random_uuid(), 'a')")
    await up(postgres_url, schema)
    await down(postgres_url, schema, to=5)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {schema}.jobs") == 1


@pytest.mark.parametrize("number", [-1, len(NAMES) + 1, True])
async def test_unknown_number_is_refused(
    postgres_url: str, schema: str, raw_postgres: asyncpg.Connection, number: int
) -> None:
    """A number that no migration has is refused before anything is written."""
    with pytest.raises(InvalidInput, match="to must be"):
        await up(postgres_url, schema, to=number)
    with pytest.raises(InvalidInput, match="to must be"):
        await down(postgres_url, schema, to=number)
    assert not await schema_exists(raw_postgres, schema)


async def test_changed_migration_is_refused(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """An applied migration whose text is another one now stops both ways, by its name."""
    await up(postgres_url, schema, to=3)
    change = f"UPDATE {schema}.schema_migrations SET checksum = 'x' WHERE name = $1"
    await raw_postgres.execute(change, NAMES[1])
    with pytest.raises(MigrationError, match=f"was changed: {NAMES[1]}"):
        await up(postgres_url, schema)
    with pytest.raises(MigrationError, match=f"was changed: {NAMES[1]}"):
        await down(postgres_url, schema, to=0)
    assert [one.name for one in await status(postgres_url, schema) if not one.checksum_ok] == [NAMES[1]]
    assert (await status(postgres_url, schema))[3].applied_at is None


async def test_newer_database_is_refused(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A database that a later version migrated is left alone."""
    await up(postgres_url, schema)
    await raw_postgres.execute(f"INSERT INTO {schema}.schema_migrations (name, checksum) VALUES ('900_later', 'x')")
    with pytest.raises(MigrationError, match=r"newer than this version.*900_later"):
        await up(postgres_url, schema)
    with pytest.raises(MigrationError, match=r"newer than this version.*900_later"):
        await down(postgres_url, schema, to=0)


async def test_what_others_made_survives(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """In a schema that was there before, other tables stay as they are, and so does the schema."""
    await raw_postgres.execute(f"CREATE SCHEMA {schema}")
    await raw_postgres.execute(f"CREATE TABLE {schema}.customers (id int PRIMARY KEY, name text)")
    await raw_postgres.execute(f"INSERT INTO {schema}.customers VALUES (1, 'a')")
    await up(postgres_url, schema)
    assert (await verify(postgres_url, schema)).problems == []
    await down(postgres_url, schema, to=0)
    assert await relations(raw_postgres, schema) == {"customers"}
    assert await raw_postgres.fetchval(f"SELECT name FROM {schema}.customers") == "a"


async def test_schema_of_others_stays_when_empty(
    postgres_url: str, schema: str, raw_postgres: asyncpg.Connection
) -> None:
    """A schema that the runner did not make is not dropped, even with nothing in it."""
    await raw_postgres.execute(f"CREATE SCHEMA {schema}")
    await up(postgres_url, schema)
    await down(postgres_url, schema, to=0)
    assert await schema_exists(raw_postgres, schema)
    assert await relations(raw_postgres, schema) == set()


async def test_own_schema_stays_while_in_use(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A schema that the runner made is not dropped while it holds something else, not even a type."""
    await up(postgres_url, schema)
    await raw_postgres.execute(f"CREATE TYPE {schema}.colour AS ENUM ('red')")
    await down(postgres_url, schema, to=0)
    assert await schema_exists(raw_postgres, schema)


async def test_taken_name_is_refused(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A table of ours that is somebody else's already is left alone, with a typed error."""
    await raw_postgres.execute(f"CREATE SCHEMA {schema}")
    await raw_postgres.execute(f"CREATE TABLE {schema}.workers (salary int)")
    with pytest.raises(MigrationError, match='not tenure\'s: relation "workers" already exists'):
        await up(postgres_url, schema)
    await down(postgres_url, schema, to=0)
    assert await relations(raw_postgres, schema) == {"workers"}


async def test_bookkeeping_of_another_tool_is_refused(
    postgres_url: str, schema: str, raw_postgres: asyncpg.Connection
) -> None:
    """Other tools call their table schema_migrations too: it is neither used nor dropped."""
    await raw_postgres.execute(f"CREATE SCHEMA {schema}")
    await raw_postgres.execute(f"CREATE TABLE {schema}.schema_migrations (version text PRIMARY KEY)")
    for work in (up(postgres_url, schema), down(postgres_url, schema, to=0)):
        with pytest.raises(MigrationError, match="choose another schema"):
            await work
    assert await relations(raw_postgres, schema) == {"schema_migrations"}


async def test_failed_step_leaves_nothing(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A step that fails half-way is rolled back whole; those before it stay, and the rest follows later."""
    await up(postgres_url, schema, to=1)
    await raw_postgres.execute(
        f"CREATE FUNCTION {schema}.mark_stale_workers(interval) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    with pytest.raises(MigrationError, match="mark_stale_workers"):
        await up(postgres_url, schema)
    assert await relations(raw_postgres, schema) == {"jobs", "schema_migrations"}
    await raw_postgres.execute(f"DROP FUNCTION {schema}.mark_stale_workers(interval)")
    assert await up(postgres_url, schema) == NAMES[1:]


async def test_locked_table_is_told(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A table that somebody holds makes the migrator give up in time, with nothing done; later it goes on."""
    await up(postgres_url, schema, to=5)
    async with raw_postgres.transaction():
        await raw_postgres.execute(f"LOCK TABLE {schema}.jobs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Backpressure, match="lock timeout"):
            await up(postgres_url, schema, lock_timeout=0.2)
        with pytest.raises(Backpressure, match="lock timeout"):
            await down(postgres_url, schema, to=0, lock_timeout=0.2)
    assert await up(postgres_url, schema) == NAMES[5:]


async def test_held_migrators_lock_is_told(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A migrator that never ends keeps the others out, and they say so; another schema is not held up."""
    key = "hashtext('tenure migrations'), hashtext($1)"
    await raw_postgres.execute(f"SELECT pg_advisory_lock({key})", schema)
    with pytest.raises(MigrationError, match="another migration holds the lock"):
        await up(postgres_url, schema, lock_timeout=0.2)
    await raw_postgres.execute(f"SELECT pg_advisory_unlock({key})", schema)
    await up(postgres_url, schema, lock_timeout=0.2)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e9])
async def test_lock_timeout_is_checked(postgres_url: str, schema: str, seconds: float) -> None:
    """No wait without an end, and none that the server would not take."""
    with pytest.raises(InvalidInput, match="lock_timeout"):
        await up(postgres_url, schema, lock_timeout=seconds)


async def test_offline_sql_is_what_up_applies(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """What `sql` prints, run by hand, is a migrated schema for everybody, bookkeeping included."""
    await raw_postgres.execute(offline_sql(schema))
    assert (await verify(postgres_url, schema)).problems == []
    assert all(one.applied_at and one.checksum_ok for one in await status(postgres_url, schema))
    assert await up(postgres_url, schema) == []
    by_hand = await objects(raw_postgres, schema)
    await raw_postgres.execute(f"DROP SCHEMA {schema} CASCADE")
    await up(postgres_url, schema)
    assert await objects(raw_postgres, schema) == by_hand


async def test_role_without_rights_is_told(postgres_url: str, schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A role that may not create gets a typed error; one that owns an existing schema needs no more than that."""
    role = f"r_{schema}"
    await raw_postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'throw-away'")
    user = postgres_url.partition("://")[2].partition("@")[0]
    limited = postgres_url.replace(f"{user}@", f"{role}:throw-away@", 1)
    try:
        with pytest.raises(ConfigurationError, match="permission denied"):
            await up(limited, schema)
        await raw_postgres.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
        assert await up(limited, schema) == NAMES
        await down(limited, schema, to=0)
    finally:
        await raw_postgres.execute(f"DROP OWNED BY {role} CASCADE")
        await raw_postgres.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("name", ["", "Jobs", "a-b", "a.b", 'a"b', "1a", "a" * 64, "a; DROP TABLE x"])
async def test_schema_name_is_checked(postgres_url: str, name: str) -> None:
    """The name becomes part of statements, so only plain ones pass."""
    with pytest.raises(InvalidInput, match="schema must be"):
        await up(postgres_url, name)
    with pytest.raises(InvalidInput, match="schema must be"):
        offline_sql(name)
