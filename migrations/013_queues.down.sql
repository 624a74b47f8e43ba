DROP TABLE IF EXISTS {schema}.paused_queues;
