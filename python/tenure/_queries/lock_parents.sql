-- Lock the jobs that others are about to depend on, in one order for everybody. A parent that settles meanwhile waits, and
-- finds its new dependents when it goes on.
SELECT job_id, status, has_dependents, priority, COALESCE(own_priority, priority) AS own_priority
FROM {schema}.jobs
WHERE job_id = ANY($1::uuid[])
ORDER BY job_id
FOR NO KEY UPDATE
