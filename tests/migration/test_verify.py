"""What `verify` sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenure._migrate import up, verify
from tests.migration.dump import SNAPSHOT, dump

if TYPE_CHECKING:
    import asyncpg

DRIFT = {
    "an index is gone": ("DROP INDEX {s}.idx_workers_status", "missing index: idx_workers_status"),
    "an index is new": ("CREATE INDEX mine ON {s}.jobs (error)", "unexpected index: mine"),
    "an index is another one": (
        "DROP INDEX {s}.idx_workers_status; CREATE INDEX idx_workers_status ON {s}.workers (pid)",
        "changed index: idx_workers_status",
    ),
    "a check is gone": (
        "ALTER TABLE {s}.jobs DROP CONSTRAINT jobs_priority_range",
        "missing constraint: jobs.jobs_priority_range",
    ),
    "a check is weaker": (
        "ALTER TABLE {s}.jobs DROP CONSTRAINT jobs_priority_range, ADD CONSTRAINT jobs_priority_range CHECK (true)",
        "changed constraint: jobs.jobs_priority_range",
    ),
    "a column is new": ("ALTER TABLE {s}.jobs ADD COLUMN mine int", "unexpected column: jobs.mine"),
    "a column may be null": ("ALTER TABLE {s}.jobs ALTER queue DROP NOT NULL", "changed column: jobs.queue"),
    "a default is another one": ("ALTER TABLE {s}.jobs ALTER priority SET DEFAULT 1", "changed column: jobs.priority"),
    "a function is another one": (
        "CREATE OR REPLACE FUNCTION {s}.update_jobs_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "changed function: update_jobs_updated_at()",
    ),
    "the trigger is off": (
        "ALTER TABLE {s}.jobs DISABLE TRIGGER trigger_jobs_updated_at",
        "changed trigger: jobs.trigger_jobs_updated_at",
    ),
    "the trigger is gone": ("DROP TRIGGER trigger_jobs_updated_at ON {s}.jobs", "triggers: expected 3, found 2"),
    "a table is gone": ("DROP TABLE {s}.dead_letter_queue", "missing table: dead_letter_queue"),
    "a storage setting is another one": ("ALTER TABLE {s}.jobs SET (fillfactor = 10)", "changed table: jobs"),
    "a checksum is another one": (
        "UPDATE {s}.schema_migrations SET checksum = 'x' WHERE name LIKE '002%'",
        "changed since it was applied: 002_create_workers_table",
    ),
    "a migration is later than this version": (
        "INSERT INTO {s}.schema_migrations (name, checksum) VALUES ('900_later', 'x')",
        "unknown to this version: 900_later",
    ),
}


@pytest.mark.parametrize("drift", DRIFT)
async def test_drift_is_seen(
    postgres_url: str, migrated_schema: str, raw_postgres: asyncpg.Connection, drift: str
) -> None:
    """Whatever is changed by hand is named."""
    change, problem = DRIFT[drift]
    await raw_postgres.execute(change.replace("{s}", migrated_schema))
    assert problem in (await verify(postgres_url, migrated_schema)).problems


async def test_migrated_schema_has_no_problems(
    postgres_url: str, migrated_schema: str, raw_postgres: asyncpg.Connection
) -> None:
    """Right after `up` there is nothing to say, and asking leaves nothing behind."""
    found = await verify(postgres_url, migrated_schema)
    assert found.problems == []
    assert found.found == found.expected
    left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenure\\_verify\\_%'"
    assert await raw_postgres.fetchval(left) == 0


async def test_half_migrated_schema_is_told(postgres_url: str, schema: str) -> None:
    """Counts are those of what is there, and what was not applied is named."""
    await up(postgres_url, schema, to=5)
    result = await verify(postgres_url, schema)
    assert result.found == {"tables": 5, "indexes": 21, "functions": 3, "triggers": 1}
    assert "not applied: 006_unique_idempotency_key" in result.problems


async def test_schema_that_is_not_there(postgres_url: str, schema: str) -> None:
    """Nothing there is an answer, not an error."""
    result = await verify(postgres_url, schema)
    assert set(result.found.values()) == {0}
    assert result.problems


async def test_snapshot_is_the_migrated_schema(postgres_url: str) -> None:
    """The committed dump is what the migrations make; `migrations/README.md` says how to write it anew."""
    assert await dump(postgres_url) == SNAPSHOT.read_text("utf-8")
