-- Pause a queue; one that is paused keeps when that was, and gets the new reason.
INSERT INTO {schema}.paused_queues AS p (queue, reason) VALUES ($1, $2)
ON CONFLICT (queue) DO UPDATE SET reason = EXCLUDED.reason
