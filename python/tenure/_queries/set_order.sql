-- Say in which order a queue's ready jobs are leased.
INSERT INTO {schema}.queue_policies AS q (queue, order_by, ageing_ms, shortest_factor) VALUES ($1, $2, $3, $4::float8)
ON CONFLICT (queue) DO UPDATE
SET order_by = EXCLUDED.order_by, ageing_ms = EXCLUDED.ageing_ms, shortest_factor = EXCLUDED.shortest_factor, updated_at = now()
