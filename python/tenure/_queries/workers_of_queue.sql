-- The workers that serve a queue and lease from it; a suspected one comes by itself if it lives.
SELECT worker_id FROM {schema}.workers WHERE status IN ('STARTING', 'ACTIVE', 'DEGRADED') AND $1 = ANY(queues)
