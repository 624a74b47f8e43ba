-- The workers whose heartbeats are expected.
SELECT worker_id FROM {schema}.workers WHERE status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'DRAINING', 'SUSPECT')
