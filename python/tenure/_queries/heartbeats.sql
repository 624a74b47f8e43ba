-- Copy a batch of heartbeats from Redis: one statement whatever the size of the fleet.
UPDATE {schema}.workers AS w
SET last_heartbeat = now(), health = h.sample::jsonb, updated_at = now(),
    status = CASE WHEN w.status IN ('STARTING', 'SUSPECT') THEN 'ACTIVE' ELSE w.status END
FROM unnest($1::uuid[], $2::text[]) AS h(worker_id, sample)
WHERE w.worker_id = h.worker_id AND w.status NOT IN ('FAILED', 'STOPPED')
