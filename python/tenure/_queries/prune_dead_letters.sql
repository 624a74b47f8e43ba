-- Delete a batch of dead letters past their keep; their jobs and audit stay.
DELETE FROM {schema}.dead_letter_queue
WHERE dlq_id IN (
    SELECT dlq_id FROM {schema}.dead_letter_queue WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
)
RETURNING original_job_id, queue
