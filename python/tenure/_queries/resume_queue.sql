-- Resume a queue; a row if it was paused.
DELETE FROM {schema}.paused_queues WHERE queue = $1 RETURNING queue
