-- One job per idempotency key; jobs without one, which are most, have no entry.
CREATE UNIQUE INDEX idx_jobs_idempotency_key ON {schema}.jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
