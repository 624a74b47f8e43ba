-- How long the urgent probes waited for their start, by the server's clock.
SELECT extract(epoch FROM e.started_at - j.run_at)::float8 AS seconds
FROM {schema}.jobs AS j
JOIN {schema}.job_executions AS e ON e.job_id = j.job_id AND e.attempt = 1
WHERE j.job_type = 'probe'
