-- The workers that serve a queue and lease from it.
SELECT worker_id FROM {schema}.workers WHERE status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'SUSPECT') AND $1 = ANY(queues)
