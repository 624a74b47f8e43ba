-- Change a worker's status.
UPDATE {schema}.workers
SET status = $2, stopped_at = CASE WHEN $2 = 'STOPPED' THEN now() END, last_heartbeat = now(), updated_at = now()
WHERE worker_id = $1
