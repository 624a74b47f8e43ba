-- The workers that observers suspect by votes younger than $1, and those that are called so.
SELECT worker_id::text, bool_or(called) AS called
FROM (
    SELECT worker_id, false AS called FROM {schema}.suspicions WHERE told_at > now() - $1::interval
    UNION ALL
    SELECT worker_id, true FROM {schema}.workers WHERE status = 'SUSPECT'
) AS s
GROUP BY worker_id
