-- Cancel jobs with all that wait for them, or all jobs of a workflow: at once where nobody runs them, otherwise their workers are to be asked.
-- A job that is told of a workflow's end is told of this one too. What they lifted is locked with them. Must be followed by the release of
-- those that wait for what was cancelled. One job alone is `cancel.sql`, which sets the same.
WITH RECURSIVE tree(job_id) AS (
    SELECT * FROM unnest($1::uuid[]) AS u(job_id)
    UNION
    SELECT d.job_id
    FROM tree AS t
    JOIN {schema}.job_dependencies AS d ON d.depends_on_job_id = t.job_id
    JOIN {schema}.jobs AS j ON j.job_id = d.job_id
    WHERE NOT EXISTS (
        SELECT FROM {schema}.workflows AS w WHERE w.workflow_id = j.workflow_id AND w.callback_job_id = j.job_id
    )
), chosen AS (
    SELECT job_id FROM tree
    UNION
    SELECT j.job_id
    FROM {schema}.jobs AS j
    JOIN {schema}.workflows AS w ON w.workflow_id = j.workflow_id
    WHERE j.workflow_id = $2 AND j.job_id IS DISTINCT FROM w.callback_job_id
), above(job_id) AS (
    SELECT job_id FROM chosen
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
    WHERE (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')) IS TRUE
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
), asked AS (
    SELECT job_id, status FROM locked WHERE job_id IN (SELECT job_id FROM chosen)
)
UPDATE {schema}.jobs AS j
SET status = CASE WHEN a.status = 'PROCESSING' THEN j.status ELSE 'CANCELLED' END,
    completed_at = CASE WHEN a.status = 'PROCESSING' THEN NULL ELSE now() END,
    cancel_requested_at = COALESCE(j.cancel_requested_at, now()),
    updated_at = now()
FROM asked AS a
WHERE j.job_id = a.job_id
RETURNING j.job_id, j.queue, j.fence, j.status, j.worker_id, j.has_dependents, a.status AS old_status
