-- Make one waiting or dead job ready at once. A dead letter leaves its queue; its attempts and crashes start again, its fence never does.
WITH asked AS (
    SELECT job_id, status FROM {schema}.jobs WHERE job_id = $1 FOR NO KEY UPDATE
), changed AS (
    UPDATE {schema}.jobs AS j
    SET status = 'PENDING', run_at = now(), completed_at = NULL, error = NULL, cancel_requested_at = NULL, snoozes = NULL,
        attempts = CASE WHEN a.status = 'SCHEDULED' THEN j.attempts ELSE 0 END,
        crashes = CASE WHEN a.status = 'SCHEDULED' THEN j.crashes ELSE 0 END,
        expires_at = CASE WHEN a.status = 'SCHEDULED' THEN j.expires_at END,
        deadline_at = CASE WHEN a.status = 'SCHEDULED' THEN j.deadline_at END,
        updated_at = now()
    FROM asked AS a
    WHERE j.job_id = a.job_id AND a.status IN ('SCHEDULED', 'FAILED', 'CANCELLED') AND j.pending_dependencies = 0
    RETURNING j.job_id, j.queue, j.has_dependents
), exhumed AS (
    DELETE FROM {schema}.dead_letter_queue AS d USING changed AS c WHERE d.original_job_id = c.job_id
)
SELECT a.status AS old_status, c.queue, c.has_dependents FROM asked AS a LEFT JOIN changed AS c ON c.job_id = a.job_id
