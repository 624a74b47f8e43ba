-- How many attempts the worker with this process number has under way.
SELECT count(*) AS held
FROM {schema}.jobs AS j
JOIN {schema}.workers AS w ON w.worker_id = j.worker_id
WHERE j.status = 'PROCESSING' AND w.pid = $1
