DROP FUNCTION IF EXISTS {schema}.get_runnable_jobs(integer);
DROP TABLE IF EXISTS {schema}.job_dependencies;
