-- Every job as the checker reads it; times in seconds since 1970.
SELECT job_id, job_type, queue, status, priority, mode, attempts, max_retries, crashes, fence, idempotency_key, has_dependents,
    pending_dependencies, result, error, extract(epoch FROM created_at)::float8 AS created_at,
    extract(epoch FROM started_at)::float8 AS started_at, extract(epoch FROM completed_at)::float8 AS completed_at
FROM {schema}.jobs
ORDER BY job_id
