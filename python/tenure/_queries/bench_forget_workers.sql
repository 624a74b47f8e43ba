-- Delete the workers that served a benchmark's queue and nothing else.
DELETE FROM {schema}.workers WHERE queues = ARRAY[$1::text]
