-- Live workers that have this id, name, host or group, newest first.
SELECT worker_id
FROM {schema}.workers
WHERE (worker_id::text = $1 OR worker_name = $1 OR host = $1 OR labels ->> 'group' = $1) AND status NOT IN ('FAILED', 'STOPPED')
ORDER BY worker_id DESC
