-- The limits of a queue, or of all.
SELECT queue, kind, scope, name, resource, amount::float8 AS amount, period_ms / 1000.0::float8 AS period, burst
FROM {schema}.limits
WHERE queue = $1 OR $1::text IS NULL
ORDER BY queue, kind, scope, name, resource
