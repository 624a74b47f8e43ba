-- Cancel one job: at once where nobody runs it, otherwise its worker is asked to stop it.
WITH asked AS (
    SELECT job_id, status FROM {schema}.jobs WHERE job_id = $1 FOR NO KEY UPDATE
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
