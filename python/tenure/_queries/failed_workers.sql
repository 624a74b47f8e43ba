-- Which of these workers the registry calls failed.
SELECT worker_id::text FROM {schema}.workers WHERE worker_id = ANY($1::uuid[]) AND status = 'FAILED'
