-- The queues that are paused, by name.
SELECT queue, reason, paused_at FROM {schema}.paused_queues ORDER BY queue
