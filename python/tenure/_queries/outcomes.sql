-- What became of these attempts: asked after a settlement whose answer was lost.
SELECT e.job_id, e.fence, e.execution_id, e.status, j.status AS job_status
FROM unnest($1::uuid[], $2::bigint[]) AS u(job_id, fence)
JOIN {schema}.job_executions AS e ON e.job_id = u.job_id AND e.fence = u.fence
JOIN {schema}.jobs AS j ON j.job_id = u.job_id
