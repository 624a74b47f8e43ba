-- The whole audit, by job and fence, and the process that ran each attempt; times in seconds since 1970.
SELECT e.job_id, e.fence, e.attempt, e.status, w.pid, extract(epoch FROM e.started_at)::float8 AS started_at,
    extract(epoch FROM e.completed_at)::float8 AS completed_at
FROM {schema}.job_executions AS e
LEFT JOIN {schema}.workers AS w ON w.worker_id = e.worker_id
ORDER BY e.job_id, e.fence
