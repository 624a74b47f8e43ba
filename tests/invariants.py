"""What must be true of every schema when the work is over, asked of PostgreSQL alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

_CHECKS = {
    "every job has ended": "SELECT job_id FROM {s}.jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')",
    "no attempt is open": "SELECT job_id FROM {s}.job_executions WHERE status = 'PROCESSING'",
    "a fence is used once": "SELECT job_id FROM {s}.job_executions GROUP BY job_id, fence HAVING count(*) > 1",
    "a completed job has one completed attempt, others none": """
        SELECT j.job_id FROM {s}.jobs j LEFT JOIN {s}.job_executions e ON e.job_id = j.job_id AND e.status = 'COMPLETED'
        GROUP BY j.job_id, j.status HAVING count(e.*) <> (j.status = 'COMPLETED')::int""",
    "attempts have no holes": """
        SELECT job_id FROM {s}.job_executions GROUP BY job_id
        HAVING max(attempt) <> count(DISTINCT attempt) OR min(attempt) <> 1""",
    "no fence is above its job's": """
        SELECT e.job_id FROM {s}.job_executions e JOIN {s}.jobs j USING (job_id) WHERE e.fence > j.fence""",
    "dead letters are the failed jobs": """
        SELECT COALESCE(j.job_id, d.original_job_id) FROM (SELECT * FROM {s}.jobs WHERE status = 'FAILED') j
        FULL JOIN {s}.dead_letter_queue d ON d.original_job_id = j.job_id WHERE j.job_id IS NULL OR d.dlq_id IS NULL""",
    "no child started before its parents completed": """
        SELECT d.job_id FROM {s}.job_dependencies d JOIN {s}.jobs c ON c.job_id = d.job_id
        JOIN {s}.jobs p ON p.job_id = d.depends_on_job_id
        WHERE d.on_failure <> 'run' AND c.started_at IS NOT NULL
            AND (p.status <> 'COMPLETED' OR c.started_at < p.completed_at)""",
}


async def assert_invariants(connection: asyncpg.Connection, schema: str, *, jobs: int | None = None) -> None:
    """Fail with the name of the first invariant that does not hold and some jobs that break it."""
    if jobs is not None:
        assert await connection.fetchval(f"SELECT count(*) FROM {schema}.jobs") == jobs
    for name, query in _CHECKS.items():
        broken = await connection.fetch(query.replace("{s}", schema))
        assert not broken, f"{name}: {[str(row[0]) for row in broken[:5]]} and {len(broken)} in all"
