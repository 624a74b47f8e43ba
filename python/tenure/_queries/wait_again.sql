-- Those that still wait, and whose edges to these jobs were satisfied by a bad end, wait for them again: they came back to life.
WITH waiting AS (
    SELECT c.job_id
    FROM {schema}.jobs AS c
    WHERE (c.status = 'BLOCKED') IS TRUE AND c.job_id IN (
        SELECT job_id FROM {schema}.job_dependencies WHERE depends_on_job_id = ANY($1::uuid[]) AND satisfied_at IS NOT NULL
    )
    ORDER BY c.job_id
    FOR NO KEY UPDATE OF c
), edges AS (
    UPDATE {schema}.job_dependencies AS d
    SET satisfied_at = NULL
    FROM waiting AS w
    WHERE d.job_id = w.job_id AND d.depends_on_job_id = ANY($1::uuid[]) AND d.satisfied_at IS NOT NULL
    RETURNING d.job_id
)
UPDATE {schema}.jobs AS j
SET pending_dependencies = j.pending_dependencies + e.edges, updated_at = now()
FROM (SELECT job_id, count(*)::int AS edges FROM edges GROUP BY job_id) AS e
WHERE j.job_id = e.job_id
