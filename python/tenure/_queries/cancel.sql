-- Cancel one job: at once where nobody runs it, otherwise its worker is asked to stop it. What it lifted is locked with it, in one order
-- for everybody: it will fall. As a tree of one a cancel took 1.4 ms instead of 0.4 (200,000 jobs): a plan for any tree is no good for one
-- job, so the larger statement is planned each time. What is set here must be what `cancel_tree.sql` sets.
WITH RECURSIVE above(job_id) AS (
    SELECT $1::uuid
    UNION
    SELECT p.job_id
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = a.job_id
    JOIN {schema}.jobs AS p ON p.job_id = d.depends_on_job_id
    WHERE (j.status = 'BLOCKED') IS TRUE AND d.satisfied_at IS NULL AND p.own_priority IS NOT NULL
), locked AS (
    SELECT j.job_id, j.status
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
), asked AS (
    SELECT job_id, status FROM locked WHERE job_id = $1
), changed AS (
    UPDATE {schema}.jobs AS j
    SET status = CASE WHEN a.status = 'PROCESSING' THEN j.status ELSE 'CANCELLED' END,
        completed_at = CASE WHEN a.status = 'PROCESSING' THEN NULL ELSE now() END,
        cancel_requested_at = COALESCE(j.cancel_requested_at, now()),
        updated_at = now()
    FROM asked AS a
    WHERE j.job_id = a.job_id AND a.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')
    RETURNING j.job_id, j.queue, j.fence, j.status, j.worker_id, j.has_dependents
)
SELECT a.job_id, a.status AS old_status, c.queue, c.fence, c.status, c.worker_id, c.has_dependents
FROM asked AS a LEFT JOIN changed AS c ON c.job_id = a.job_id
