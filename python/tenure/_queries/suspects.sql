-- The workers that observers suspect by votes younger than $1, and those that are called so.
SELECT worker_id::text FROM {schema}.suspicions WHERE told_at > now() - $1::interval
UNION
SELECT worker_id::text FROM {schema}.workers WHERE status = 'SUSPECT'
