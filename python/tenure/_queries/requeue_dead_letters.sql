-- Take a batch of dead letters back to life. Attempts and crashes start again; the fence never does. Those younger than $5 are left alone,
-- and those whose unique key another job has by now.
WITH taken AS (
    DELETE FROM {schema}.dead_letter_queue
    WHERE dlq_id IN (
        SELECT dlq_id
        FROM {schema}.dead_letter_queue AS d
        WHERE ($1::uuid[] IS NULL OR original_job_id = ANY($1)) AND ($2::text IS NULL OR queue = $2)
            AND ($3::text IS NULL OR job_type = $3) AND created_at <= $5
            AND NOT EXISTS (
                SELECT FROM {schema}.jobs AS own
                JOIN {schema}.jobs AS other ON other.unique_key = own.unique_key AND other.job_id <> own.job_id
                WHERE own.job_id = d.original_job_id AND own.unique_key IS NOT NULL
                    AND other.unique_key IS NOT NULL AND (
                        (other.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')
                            AND (other.unique_until <> 'started' OR other.started_at IS NULL))
                        OR (other.unique_until IN ('window', 'hold') AND other.status IN ('COMPLETED', 'FAILED'))
                    )
            )
        ORDER BY dlq_id
        LIMIT $4
        FOR UPDATE SKIP LOCKED
    )
    RETURNING original_job_id
)
UPDATE {schema}.jobs AS j
SET status = 'PENDING', run_at = now(), completed_at = NULL, error = NULL, attempts = 0, crashes = 0,
    cancel_requested_at = NULL, snoozes = NULL, expires_at = NULL, deadline_at = NULL, updated_at = now()
FROM taken AS t
WHERE j.job_id = t.original_job_id AND j.status = 'FAILED'
RETURNING j.job_id, j.queue, j.has_dependents
