-- The ends of those of these jobs that have one.
SELECT job_id, status, result, result_format, error
FROM {schema}.jobs
WHERE job_id = ANY($1::uuid[]) AND status IN ('COMPLETED', 'FAILED', 'CANCELLED')
