-- A queue's jobs that changed lately and wait or run: what a lost or late push can have missed.
SELECT job_id, fence, status
FROM {schema}.jobs
WHERE queue = $1 AND status IN ('PENDING', 'SCHEDULED', 'PROCESSING') AND updated_at > now() - $2::interval
LIMIT $3
