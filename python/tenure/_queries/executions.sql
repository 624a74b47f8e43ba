-- The audit of one job.
SELECT execution_id, worker_id, fence, attempt, status, started_at, completed_at, duration_ms, error
FROM {schema}.job_executions
WHERE job_id = $1
ORDER BY fence
