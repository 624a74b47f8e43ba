-- A row if the queue is paused.
SELECT queue FROM {schema}.paused_queues WHERE queue = $1
