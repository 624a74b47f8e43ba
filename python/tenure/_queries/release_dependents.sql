-- What the end of these jobs means for those that wait for them, for any fan-out: satisfied edges are marked and counted
-- off, a job whose last edge it was becomes ready, a job whose policy says so is cancelled (its own dependents are the
-- caller's next round). Must run after the statement that ended the parents, in its transaction.
WITH ended AS (
    SELECT * FROM unnest($1::uuid[], $2::text[]) AS e(job_id, status)
), satisfied AS (
    UPDATE {schema}.job_dependencies AS d
    SET satisfied_at = now()
    FROM ended AS e
    WHERE d.depends_on_job_id = e.job_id AND d.satisfied_at IS NULL AND (e.status = 'COMPLETED' OR d.on_failure = 'run')
    RETURNING d.job_id
), touched AS (
    -- One list, so that no two of these parts are joined with each other: the planner takes them for a few rows, and would compare
    -- each of ten thousand dependents with each.
    SELECT job_id, sum(edges)::int AS edges, bool_or(doomed) AS doomed
    FROM (
        SELECT job_id, 1 AS edges, false AS doomed FROM satisfied
        UNION ALL
        SELECT d.job_id, 0, true
        FROM {schema}.job_dependencies AS d
        JOIN ended AS e ON d.depends_on_job_id = e.job_id
        WHERE e.status <> 'COMPLETED' AND d.on_failure = 'cancel'
    ) AS t
    GROUP BY job_id
), locked AS (
    SELECT j.job_id, t.edges, t.doomed
    FROM touched AS t
    JOIN {schema}.jobs AS j ON j.job_id = t.job_id
    WHERE j.status = 'BLOCKED'
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
), changed AS (
    UPDATE {schema}.jobs AS j
    SET pending_dependencies = j.pending_dependencies - l.edges,
        status = CASE
            WHEN l.doomed THEN 'CANCELLED'
            WHEN j.pending_dependencies > l.edges THEN 'BLOCKED'
            WHEN j.run_at > now() THEN 'SCHEDULED'
            ELSE 'PENDING'
        END,
        completed_at = CASE WHEN l.doomed THEN now() END,
        error = CASE WHEN l.doomed THEN 'a job it depends on did not complete' END,
        updated_at = now()
    FROM locked AS l
    WHERE j.job_id = l.job_id
    RETURNING j.job_id, j.queue, j.fence, j.status, j.has_dependents
)
SELECT job_id, queue, fence, status, has_dependents FROM changed WHERE status <> 'BLOCKED'
