-- One dead letter by its job's id.
SELECT dlq_id, original_job_id AS job_id, job_type, queue, priority, attempts, reason, error, payload, payload_format, tags,
    created_at
FROM {schema}.dead_letter_queue
WHERE original_job_id = $1
