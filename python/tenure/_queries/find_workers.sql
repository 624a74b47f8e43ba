-- Live workers that have this id, name or host, newest first.
SELECT worker_id
FROM {schema}.workers
WHERE (worker_id::text = $1 OR worker_name = $1 OR host = $1) AND status NOT IN ('FAILED', 'STOPPED')
ORDER BY worker_id DESC
