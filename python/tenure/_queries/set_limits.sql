-- Set limits of a queue: one row for each kind and, where it is of resources, each resource; what was there of it is replaced.
INSERT INTO {schema}.limits AS l (queue, kind, scope, name, resource, amount, period_ms, burst)
SELECT $1, u.kind, $2, $3, u.resource, u.amount, u.period_ms, u.burst
FROM unnest($4::text[], $5::text[], $6::float8[], $7::bigint[], $8::int[]) AS u(kind, resource, amount, period_ms, burst)
ON CONFLICT (queue, kind, scope, name, resource) DO UPDATE
SET amount = EXCLUDED.amount, period_ms = EXCLUDED.period_ms, burst = EXCLUDED.burst, updated_at = now()
