-- How many attempts of a benchmark's jobs ended in each way; $2 is older than all of them.
SELECT e.status, count(*) AS attempts
FROM {schema}.jobs AS j
JOIN {schema}.job_executions AS e ON e.job_id = j.job_id
WHERE j.job_id > $2::uuid AND j.queue = $1
GROUP BY e.status
