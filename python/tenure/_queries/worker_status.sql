-- Change the status of workers, by their own word.
UPDATE {schema}.workers
SET status = $2, stopped_at = CASE WHEN $2 = 'STOPPED' THEN now() END, last_heartbeat = now(), updated_at = now()
WHERE worker_id = ANY($1::uuid[])
