DROP INDEX IF EXISTS {schema}.idx_jobs_unique_key;
ALTER TABLE {schema}.jobs
    DROP COLUMN IF EXISTS unique_key,
    DROP COLUMN IF EXISTS unique_until,
    DROP COLUMN IF EXISTS unique_hold_ms;
