DROP TABLE IF EXISTS {schema}.jobs;
DROP FUNCTION IF EXISTS {schema}.update_jobs_updated_at();
