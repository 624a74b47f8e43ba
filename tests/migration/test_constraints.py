"""The tables refuse illegal rows, each by a constraint with a name."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tenure._migrate import down, up
from tests.migration.rows import insert, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

# Constraint, table, and the columns (SQL expressions) of a row that it must refuse.
ILLEGAL: list[tuple[str, str, Mapping[str, str]]] = [
    ("jobs_job_type_length", "jobs", {"job_type": "''"}),
    ("jobs_job_type_length", "jobs", {"job_type": "repeat('a', 256)"}),
    ("jobs_job_type_length", "jobs", {"job_type": "repeat('ä', 128)"}),
    ("jobs_queue_length", "jobs", {"queue": "''"}),
    ("jobs_queue_length", "jobs", {"queue": "repeat('a', 129)"}),
    ("jobs_payload_format_known", "jobs", {"payload_format": "'pickle'"}),
    ("jobs_priority_range", "jobs", {"priority": "0"}),
    ("jobs_priority_range", "jobs", {"priority": "6"}),
    ("jobs_status_known", "jobs", {"status": "'RUNNING'"}),
    ("jobs_status_known", "jobs", {"status": "'pending'"}),
    ("jobs_mode_known", "jobs", {"mode": "'never'"}),
    ("jobs_attempts_not_negative", "jobs", {"attempts": "-1"}),
    ("jobs_max_retries_range", "jobs", {"max_retries": "-1"}),
    ("jobs_max_retries_range", "jobs", {"max_retries": "1001"}),
    ("jobs_crashes_not_negative", "jobs", {"crashes": "-1"}),
    ("jobs_fence_not_negative", "jobs", {"fence": "-1"}),
    ("jobs_timeout_positive", "jobs", {"timeout_ms": "0"}),
    ("jobs_run_at_range", "jobs", {"run_at": "'infinity'"}),
    ("jobs_run_at_range", "jobs", {"run_at": "'-infinity'"}),
    ("jobs_run_at_range", "jobs", {"run_at": "'3000-01-01 00:00+00'"}),
    ("jobs_idempotency_key_length", "jobs", {"idempotency_key": "''"}),
    ("jobs_idempotency_key_length", "jobs", {"idempotency_key": "repeat('a', 256)"}),
    ("jobs_expires_at_range", "jobs", {"expires_at": "'infinity'"}),
    ("jobs_deadline_expires", "jobs", {"deadline_at": "now()"}),
    ("jobs_deadline_expires", "jobs", {"deadline_at": "now()", "expires_at": "now() + interval '1 second'"}),
    ("jobs_deadline_at_range", "jobs", {"deadline_at": "'infinity'", "expires_at": "now()"}),
    ("jobs_snoozes_positive", "jobs", {"snoozes": "0"}),
    ("jobs_unique_key_length", "jobs", {"unique_key": "''", "unique_until": "'ended'"}),
    ("jobs_unique_key_length", "jobs", {"unique_key": "repeat('a', 1025)", "unique_until": "'ended'"}),
    ("jobs_unique_until_known", "jobs", {"unique_key": "'a'", "unique_until": "'never'"}),
    ("jobs_unique_has_until", "jobs", {"unique_key": "'a'"}),
    ("jobs_unique_hold_range", "jobs", {"unique_key": "'a'", "unique_until": "'hold'", "unique_hold_ms": "0"}),
    ("jobs_unique_hold_range", "jobs", {"unique_key": "'a'", "unique_until": "'ended'", "unique_hold_ms": "1"}),
    ("jobs_tenant_text", "jobs", {"tenant": "''"}),
    ("jobs_tenant_text", "jobs", {"tenant": "'-'"}),
    ("jobs_tenant_text", "jobs", {"tenant": "'a|b'"}),
    ("jobs_tenant_text", "jobs", {"tenant": "repeat('a', 65)"}),
    ("jobs_requires_text", "jobs", {"requires": "''"}),
    ("jobs_requires_text", "jobs", {"requires": "'gpu cpu'"}),
    ("jobs_requires_text", "jobs", {"requires": "'gpu|cpu'"}),
    ("jobs_requires_text", "jobs", {"requires": "repeat('a', 513)"}),
    ("jobs_limit_key_text", "jobs", {"limit_key": "'a b'"}),
    ("jobs_limit_key_text", "jobs", {"limit_key": "'-'"}),
    ("jobs_limit_key_text", "jobs", {"limit_key": "repeat('a', 129)"}),
    ("jobs_cost_range", "jobs", {"cost": "0"}),
    ("jobs_cost_range", "jobs", {"cost": "1000000001"}),
    ("workers_resources_object", "workers", {"resources": "'[]'"}),
    ("tenants_tenant_text", "tenants", {"tenant": "'a|b'"}),
    ("tenants_weight_range", "tenants", {"weight": "0"}),
    ("tenants_weight_range", "tenants", {"weight": "1000.001"}),
    ("tenants_max_priority_range", "tenants", {"max_priority": "0"}),
    ("tenants_max_priority_range", "tenants", {"max_priority": "6"}),
    ("limits_queue_length", "limits", {"queue": "''"}),
    ("limits_kind_known", "limits", {"kind": "'speed'"}),
    ("limits_scope_known", "limits", {"scope": "'worker'"}),
    ("limits_name_text", "limits", {"scope": "'key'", "name": "'a|b'"}),
    ("limits_name_text", "limits", {"scope": "'tenant'", "name": "'-'"}),
    ("limits_name_of_scope", "limits", {"name": "'a'"}),
    ("limits_name_of_scope", "limits", {"scope": "'type'"}),
    ("limits_amount_range", "limits", {"amount": "-1"}),
    ("limits_amount_range", "limits", {"amount": "1.5"}),
    ("limits_resource_text", "limits", {"kind": "'resource'", "scope": "'tenant'", "resource": "'a:b'"}),
    ("limits_resource_of_tenant", "limits", {"kind": "'resource'", "scope": "'tenant'"}),
    ("limits_resource_of_tenant", "limits", {"kind": "'resource'", "resource": "'cpu'"}),
    ("limits_resource_of_tenant", "limits", {"scope": "'tenant'", "resource": "'cpu'"}),
    ("limits_rate_has_period", "limits", {"kind": "'rate'"}),
    ("limits_rate_has_period", "limits", {"period_ms": "1"}),
    ("limits_rate_has_period", "limits", {"kind": "'rate'", "period_ms": "1", "burst": "1", "amount": "0"}),
    ("limits_period_range", "limits", {"kind": "'rate'", "period_ms": "0", "burst": "1"}),
    ("limits_burst_range", "limits", {"kind": "'rate'", "period_ms": "1", "burst": "0"}),
    ("queue_policies_queue_length", "queue_policies", {"queue": "''"}),
    ("queue_policies_order_known", "queue_policies", {"order_by": "'random'"}),
    ("queue_policies_ageing_range", "queue_policies", {"order_by": "'ageing'"}),
    ("queue_policies_ageing_range", "queue_policies", {"ageing_ms": "1"}),
    ("queue_policies_factor_range", "queue_policies", {"order_by": "'shortest'"}),
    ("queue_policies_factor_range", "queue_policies", {"shortest_factor": "1"}),
    ("queue_policies_fair_known", "queue_policies", {"fair": "'luck'"}),
    ("jobs_pending_dependencies_not_negative", "jobs", {"pending_dependencies": "-1"}),
    ("jobs_progress_range", "jobs", {"progress": "-0.1"}),
    ("jobs_progress_range", "jobs", {"progress": "1.1"}),
    ("jobs_progress_range", "jobs", {"progress": "'NaN'"}),
    ("jobs_ended_has_time", "jobs", {"status": "'COMPLETED'"}),
    ("jobs_ended_has_time", "jobs", {"status": "'FAILED'"}),
    ("jobs_ended_has_time", "jobs", {"status": "'CANCELLED'"}),
    ("jobs_ended_has_time", "jobs", {"status": "'PENDING'", "completed_at": "now()"}),
    ("jobs_processing_has_worker", "jobs", {"status": "'PROCESSING'"}),
    ("jobs_blocked_waits", "jobs", {"status": "'BLOCKED'"}),
    ("workers_name_length", "workers", {"worker_name": "''"}),
    ("workers_name_length", "workers", {"worker_name": "repeat('a', 256)"}),
    ("workers_concurrency_positive", "workers", {"concurrency": "0"}),
    ("workers_status_known", "workers", {"status": "'IDLE'"}),
    ("workers_load_range", "workers", {"load": "-0.1"}),
    ("workers_health_score_range", "workers", {"health_score": "101"}),
    ("workers_health_score_range", "workers", {"health_score": "-1"}),
    ("suspicions_observer_length", "suspicions", {"observer": "''"}),
    ("suspicions_phi_range", "suspicions", {"phi": "-1"}),
    ("leaders_term_positive", "leaders", {"term": "0"}),
    ("leaders_holder_length", "leaders", {"holder": "''"}),
    ("job_executions_fence_positive", "job_executions", {"fence": "0"}),
    ("job_executions_attempt_positive", "job_executions", {"attempt": "0"}),
    ("job_executions_status_known", "job_executions", {"status": "'PENDING'", "completed_at": "now()"}),
    ("job_executions_ended_has_time", "job_executions", {"status": "'COMPLETED'"}),
    ("job_executions_ended_has_time", "job_executions", {"completed_at": "now()"}),
    ("dead_letter_queue_reason_known", "dead_letter_queue", {"reason": "'tired'"}),
    ("dead_letter_queue_priority_range", "dead_letter_queue", {"priority": "6"}),
    ("paused_queues_queue_length", "paused_queues", {"queue": "''"}),
    ("paused_queues_reason_length", "paused_queues", {"reason": "repeat('a', 1025)"}),
    ("schedules_name_length", "schedules", {"schedule_name": "''"}),
    ("schedules_cron_length", "schedules", {"cron": "repeat('*', 256)"}),
    ("schedules_timezone_length", "schedules", {"timezone": "''"}),
    ("schedules_missed_known", "schedules", {"missed": "'some'"}),
    ("schedules_triggers_range", "schedules", {"triggers": "-1"}),
    ("schedules_next_at_range", "schedules", {"next_at": "'infinity'"}),
    ("jobs_own_priority_range", "jobs", {"own_priority": "0"}),
    ("jobs_own_priority_range", "jobs", {"priority": "2", "own_priority": "3"}),
    ("workflows_name_length", "workflows", {"name": "''"}),
    ("workflows_name_length", "workflows", {"name": "repeat('a', 256)"}),
    ("workflows_jobs_positive", "workflows", {"jobs": "0"}),
    ("job_dependencies_not_itself", "job_dependencies", {"depends_on_job_id": "'{job}'"}),
    ("job_dependencies_on_failure_known", "job_dependencies", {"on_failure": "'panic'"}),
]
# Rows at the edge of what is allowed.
ALLOWED: list[tuple[str, Mapping[str, str]]] = [
    ("jobs", {}),
    ("jobs", {"job_type": "repeat('a', 255)", "queue": "repeat('a', 128)", "idempotency_key": "repeat('a', 255)"}),
    ("jobs", {"unique_key": "repeat('a', 1024)", "unique_until": "'hold'", "unique_hold_ms": "1"}),
    ("jobs", {"priority": "1", "max_retries": "0", "timeout_ms": "1", "progress": "0", "payload_format": "'msgpack'"}),
    ("jobs", {"priority": "5", "max_retries": "1000", "progress": "1", "mode": "'behind'"}),
    ("jobs", {"status": "'SCHEDULED'", "run_at": "now() + interval '1 hour'"}),
    ("jobs", {"status": "'BLOCKED'", "pending_dependencies": "1"}),
    ("jobs", {"status": "'PROCESSING'", "worker_id": "gen_random_uuid()"}),
    ("jobs", {"status": "'COMPLETED'", "completed_at": "now()"}),
    ("workers", {"status": "'SUSPECT'"}),
    ("workers", {"load": "1.5", "health_score": "0"}),
    ("leaders", {}),
    ("suspicions", {"phi": "300"}),
    ("job_executions", {}),
    ("job_executions", {"status": "'LOST'", "completed_at": "now()"}),
    ("jobs", {"expires_at": "now()", "deadline_at": "now()", "snoozes": "1"}),
    ("jobs", {"tenant": "repeat('a', 64)", "limit_key": "'customer:42/@a'", "cost": "1"}),
    ("jobs", {"requires": "'gpu,region:eu;cpu=0.5,mem=4'", "cost": "1000000000"}),
    ("jobs", {"requires": "';cpu=2'"}),
    ("workers", {"resources": """'{"gpu": 2}'"""}),
    ("tenants", {"weight": "0.001", "max_priority": "1"}),
    ("limits", {"amount": "0"}),
    ("limits", {"kind": "'queued'", "scope": "'type'", "name": "'mail'"}),
    ("limits", {"kind": "'rate'", "scope": "'key'", "name": "'customer:42'", "period_ms": "1", "burst": "1"}),
    ("limits", {"kind": "'resource'", "scope": "'tenant'", "resource": "'cpu'", "amount": "0.5"}),
    ("queue_policies", {"order_by": "'ageing'", "ageing_ms": "60000", "fair": "'share'"}),
    ("queue_policies", {"order_by": "'shortest'", "shortest_factor": "10"}),
    ("dead_letter_queue", {"reason": "'poison'"}),
    ("dead_letter_queue", {"reason": "'deadline'"}),
    ("jobs", {"priority": "5", "own_priority": "1", "workflow_id": "gen_random_uuid()"}),
    ("workflows", {"name": "repeat('a', 255)"}),
    ("job_dependencies", {"on_failure": "'cancel'"}),
]
CONSTRAINTS = """
    SELECT c.conname
    FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace
    WHERE n.nspname = $1 AND c.contype = 'c'
"""


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[str]:
    """A schema with every migration for all the rows, none of which stays."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    asyncio.run(up(postgres_url, name))
    yield name
    asyncio.run(down(postgres_url, name, to=0))


@pytest.fixture
async def undone(raw_postgres: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that is rolled back."""
    transaction = raw_postgres.transaction()
    await transaction.start()
    yield raw_postgres
    await transaction.rollback()


async def try_row(connection: asyncpg.Connection, schema: str, table: str, columns: Mapping[str, str]) -> None:
    """Insert a row of a table, beside two jobs it may name."""
    ids = {"{job}": str(await job(connection, schema)), "{parent}": str(await job(connection, schema))}
    row = {"job_id": "'{job}'", **columns} if table in ("job_executions", "job_dependencies") else dict(columns)
    if table == "job_dependencies":
        row.setdefault("depends_on_job_id", "'{parent}'")
    for mark, job_id in ids.items():
        row = {name: text.replace(mark, job_id) for name, text in row.items()}
    await insert(connection, schema, table, **row)


@pytest.mark.parametrize(("constraint", "table", "columns"), ILLEGAL)
async def test_illegal_row_is_refused(
    tables: str, undone: asyncpg.Connection, constraint: str, table: str, columns: Mapping[str, str]
) -> None:
    """Each by the constraint that is there for it."""
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await try_row(undone, tables, table, columns)
    assert refusal.value.as_dict()["constraint_name"] == constraint


@pytest.mark.parametrize(("table", "columns"), ALLOWED)
async def test_legal_row_is_taken(
    tables: str, undone: asyncpg.Connection, table: str, columns: Mapping[str, str]
) -> None:
    """The bounds themselves are inside."""
    await try_row(undone, tables, table, columns)


async def test_every_check_has_a_case(tables: str, undone: asyncpg.Connection) -> None:
    """A constraint that a migration adds wants a row here."""
    names = {row["conname"] for row in await undone.fetch(CONSTRAINTS, tables)}
    assert names == {constraint for constraint, _, _ in ILLEGAL}


@pytest.mark.parametrize("status", ["PENDING", "SCHEDULED"])
async def test_update_is_checked_too(migrated_schema: str, raw_postgres: asyncpg.Connection, status: str) -> None:
    """An ended job cannot be made live again while it keeps the time of its end."""
    job_id = await job(raw_postgres, migrated_schema, status="'FAILED'", completed_at="now()")
    with pytest.raises(asyncpg.CheckViolationError):
        await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET status = $2 WHERE job_id = $1", job_id, status)


async def test_uniqueness(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """One attempt per fence, one dead letter per job, one edge per pair, one job per key of either kind."""
    child, parent = await job(raw_postgres, migrated_schema), await job(raw_postgres, migrated_schema)
    twice: list[tuple[str, dict[str, str]]] = [
        ("job_executions", {"job_id": f"'{child}'"}),
        ("dead_letter_queue", {"original_job_id": f"'{child}'"}),
        ("job_dependencies", {"job_id": f"'{child}'", "depends_on_job_id": f"'{parent}'"}),
        ("jobs", {"idempotency_key": "'k'"}),
        ("jobs", {"unique_key": "'k'", "unique_until": "'ended'"}),
    ]
    for table, columns in twice:
        await insert(raw_postgres, migrated_schema, table, **columns)
        with pytest.raises(asyncpg.UniqueViolationError):
            await insert(raw_postgres, migrated_schema, table, **columns)


async def test_what_deleting_takes_along(migrated_schema: str, raw_postgres: asyncpg.Connection) -> None:
    """A job takes its audit and its own edges along; one that others wait for stays; the audit keeps a worker's id."""
    s = migrated_schema
    child, parent = await job(raw_postgres, s), await job(raw_postgres, s)
    worker = (await insert(raw_postgres, s, "workers", current_job_id=f"'{child}'"))["worker_id"]
    await insert(raw_postgres, s, "job_executions", job_id=f"'{child}'", worker_id=f"'{worker}'")
    await insert(raw_postgres, s, "job_dependencies", job_id=f"'{child}'", depends_on_job_id=f"'{parent}'")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await raw_postgres.execute(f"DELETE FROM {s}.jobs WHERE job_id = $1", parent)
    await raw_postgres.execute(f"DELETE FROM {s}.workers WHERE worker_id = $1", worker)
    assert await raw_postgres.fetchval(f"SELECT worker_id FROM {s}.job_executions") == worker
    worker = (await insert(raw_postgres, s, "workers", current_job_id=f"'{child}'"))["worker_id"]
    await raw_postgres.execute(f"DELETE FROM {s}.jobs WHERE job_id = $1", child)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {s}.job_executions") == 0
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {s}.job_dependencies") == 0
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {s}.workers WHERE current_job_id IS NULL") == 1
