"""Legal rows, and columns that make them illegal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncpg

# SQL expressions, so that one table of cases covers every type. `{parent}` and `{job}` are jobs that exist.
LEGAL: Final[dict[str, dict[str, str]]] = {
    "jobs": {"job_id": "gen_random_uuid()", "job_type": "'a'"},
    "workers": {"worker_id": "gen_random_uuid()", "worker_name": "'a'"},
    "job_executions": {"execution_id": "gen_random_uuid()", "job_id": "'{job}'", "fence": "1", "attempt": "1"},
    "dead_letter_queue": {
        "dlq_id": "gen_random_uuid()",
        "original_job_id": "gen_random_uuid()",
        "job_type": "'a'",
        "queue": "'default'",
        "payload": "''",
        "priority": "3",
        "attempts": "1",
        "reason": "'exhausted'",
    },
    "schedules": {
        "schedule_name": "'a'",
        "queue": "'default'",
        "job_type": "'a'",
        "cron": "'* * * * *'",
        "timezone": "'UTC'",
        "missed": "'one'",
        "next_at": "now()",
    },
    "paused_queues": {"queue": "'default'"},
    "tenants": {"tenant": "'acme'"},
    "limits": {"queue": "'default'", "kind": "'concurrency'", "scope": "'queue'", "amount": "1"},
    "queue_policies": {"queue": "'default'"},
    "suspicions": {
        "worker_id": "gen_random_uuid()",
        "observer": "'a'",
        "term": "1",
        "phi": "8",
        "dead": "false",
    },
    "leaders": {"leadership": "'a'", "term": "1", "holder": "'a'"},
    "workflows": {"workflow_id": "gen_random_uuid()", "jobs": "1"},
    "job_dependencies": {"job_id": "'{job}'", "depends_on_job_id": "'{parent}'"},
}


async def insert(connection: asyncpg.Connection, schema: str, table: str, **columns: str) -> asyncpg.Record:
    """Insert a row, legal but for these columns (SQL expressions), and return it."""
    row = {**LEGAL[table], **columns}
    names, values = ", ".join(row), ", ".join(row.values())
    inserted = await connection.fetchrow(f"INSERT INTO {schema}.{table} ({names}) VALUES ({values}) RETURNING *")
    assert inserted is not None
    return inserted


async def job(connection: asyncpg.Connection, schema: str, **columns: str) -> Any:
    """Insert a job and return its id."""
    return (await insert(connection, schema, "jobs", **columns))["job_id"]
