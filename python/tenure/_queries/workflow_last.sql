-- The last of a workflow's jobs that has not ended, for whoever waits: the one that is told of the end is not waited for.
SELECT j.job_id, j.job_type, j.queue
FROM {schema}.jobs AS j
WHERE j.workflow_id = $1 AND j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')
    AND NOT EXISTS (SELECT FROM {schema}.workflows AS w WHERE w.workflow_id = $1 AND w.callback_job_id = j.job_id)
ORDER BY j.job_id DESC
LIMIT 1
