DROP INDEX IF EXISTS {schema}.idx_jobs_idempotency_key;
