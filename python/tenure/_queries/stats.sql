-- Every queue's jobs by state, and the wait of the oldest ready one.
SELECT queue, status, count(*) AS jobs, extract(epoch FROM now() - min(run_at))::float8 AS oldest_seconds
FROM {schema}.jobs
GROUP BY queue, status
ORDER BY queue, status
