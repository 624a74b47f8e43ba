-- Dead letters that match, newest first.
SELECT dlq_id, original_job_id AS job_id, job_type, queue, priority, attempts, reason, error, payload, payload_format, tags,
    created_at
FROM {schema}.dead_letter_queue
WHERE ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR job_type = $2)
ORDER BY created_at DESC, dlq_id DESC
LIMIT $3
