-- What became of the attempts of the worker with this process number: how many it has under way, and how many it lost.
SELECT count(*) FILTER (WHERE e.status = 'PROCESSING') AS held, count(*) FILTER (WHERE e.status = 'LOST') AS lost,
    count(*) FILTER (
        WHERE e.status = 'LOST' AND EXISTS (
            SELECT FROM {schema}.job_executions AS n WHERE n.job_id = e.job_id AND n.fence > e.fence
        )
    ) AS taken_over
FROM {schema}.job_executions AS e
JOIN {schema}.workers AS w ON w.worker_id = e.worker_id
WHERE w.pid = $1
