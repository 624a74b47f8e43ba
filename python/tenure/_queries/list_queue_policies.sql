-- The queues that have an order or a way of sharing of their own, by name.
SELECT queue, order_by, ageing_ms / 1000.0::float8 AS ageing, shortest_factor::float8 AS factor, fair
FROM {schema}.queue_policies
WHERE order_by <> 'priority' OR fair <> 'jobs'
ORDER BY queue
