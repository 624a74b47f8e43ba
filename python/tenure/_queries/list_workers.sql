-- The registry, newest first, with how many jobs each worker runs.
SELECT w.worker_id, w.worker_name, w.worker_type, w.host, w.pid, w.queues, w.capabilities, w.resources, w.labels, w.concurrency,
    w.status, w.load, w.health_score, w.version, w.last_heartbeat, w.started_at, w.stopped_at,
    (SELECT count(*) FROM {schema}.jobs AS j WHERE j.worker_id = w.worker_id AND j.status = 'PROCESSING') AS running
FROM {schema}.workers AS w
WHERE NOT $1 OR w.status NOT IN ('FAILED', 'STOPPED')
ORDER BY w.worker_id DESC
