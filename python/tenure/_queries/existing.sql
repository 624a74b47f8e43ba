-- The jobs behind ids or idempotency keys that an insert found taken.
SELECT job_id, idempotency_key, job_type, queue
FROM {schema}.jobs
WHERE job_id = ANY($1::uuid[]) OR idempotency_key = ANY($2::text[])
