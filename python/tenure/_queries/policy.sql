-- All that Redis must know of a queue's order, shares and limits, as fields and texts. What the live workers that serve it have
-- together is part of it only where tenants share by that, and where there are none yet whoever holds fewest leases is next; weights where there is anything of its own (`adopt_tenants.sql`).
WITH policy AS (
    SELECT order_by, ageing_ms, shortest_factor, fair FROM {schema}.queue_policies WHERE queue = $1
), serving AS (
    SELECT w.concurrency, w.resources FROM {schema}.workers AS w
    WHERE $1 = ANY(w.queues) AND w.status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'SUSPECT') AND EXISTS (SELECT FROM policy WHERE fair = 'share')
)
SELECT 'order' AS field, order_by AS value FROM policy WHERE order_by <> 'priority'
UNION ALL
SELECT 'ageing_ms', ageing_ms::text FROM policy WHERE ageing_ms IS NOT NULL
UNION ALL
SELECT 'shortest_factor', trim_scale(shortest_factor)::text FROM policy WHERE shortest_factor IS NOT NULL
UNION ALL
SELECT 'fair', fair FROM policy WHERE fair <> 'jobs'
UNION ALL
SELECT CASE kind WHEN 'concurrency' THEN 'limit' ELSE 'rate' END || '|' || scope || CASE WHEN scope = 'queue' THEN '' ELSE '|' || name END,
    trim_scale(amount)::text || COALESCE(' ' || period_ms || ' ' || burst, '')
FROM {schema}.limits
WHERE queue = $1 AND kind IN ('concurrency', 'rate')
UNION ALL
SELECT 'quota|' || name || '|' || resource, trim_scale(amount)::text FROM {schema}.limits WHERE queue = $1 AND kind = 'resource'
UNION ALL
SELECT 'weight|' || tenant, trim_scale(weight)::text FROM {schema}.tenants
WHERE weight <> 1 AND EXISTS (
    SELECT FROM {schema}.queue_policies WHERE queue = $1 UNION ALL SELECT FROM {schema}.limits WHERE queue = $1 AND kind <> 'queued'
)
UNION ALL
SELECT 'capacity|slots', COALESCE(sum(concurrency), 1000000)::text FROM serving HAVING EXISTS (SELECT FROM policy WHERE fair = 'share')
UNION ALL
SELECT 'capacity|' || r.key, trim_scale(sum(r.value::numeric))::text FROM serving, jsonb_each_text(serving.resources) AS r GROUP BY r.key
