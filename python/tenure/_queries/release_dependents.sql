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
), counted AS (
    SELECT job_id, count(*)::int AS edges FROM satisfied GROUP BY job_id
), doomed AS (
    SELECT DISTINCT d.job_id
    FROM {schema}.job_dependencies AS d
    JOIN ended AS e ON d.depends_on_job_id = e.job_id
    WHERE e.status <> 'COMPLETED' AND d.on_failure = 'cancel'
), locked AS (
    SELECT j.job_id, c.edges, j.job_id IN (SELECT job_id FROM doomed) AS doomed
    FROM {schema}.jobs AS j
    LEFT JOIN counted AS c ON c.job_id = j.job_id
    WHERE j.job_id IN (SELECT job_id FROM counted UNION SELECT job_id FROM doomed) AND j.status = 'BLOCKED'
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
), changed AS (
    UPDATE {schema}.jobs AS j
    SET pending_dependencies = j.pending_dependencies - COALESCE(l.edges, 0),
        status = CASE
            WHEN l.doomed THEN 'CANCELLED'
            WHEN j.pending_dependencies > COALESCE(l.edges, 0) THEN 'BLOCKED'
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
