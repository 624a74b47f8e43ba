-- Delete a batch of dead letters; their jobs and audit stay. Those younger than $5 are left alone.
DELETE FROM {schema}.dead_letter_queue
WHERE dlq_id IN (
    SELECT dlq_id
    FROM {schema}.dead_letter_queue
    WHERE ($1::uuid[] IS NULL OR original_job_id = ANY($1)) AND ($2::text IS NULL OR queue = $2)
        AND ($3::text IS NULL OR job_type = $3) AND created_at <= $5
    ORDER BY dlq_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
)
RETURNING original_job_id AS job_id, queue
