ALTER TABLE {schema}.jobs DROP CONSTRAINT IF EXISTS jobs_run_at_range;
