-- Every dependency as the checker reads it.
SELECT job_id, depends_on_job_id AS parent_id, on_failure FROM {schema}.job_dependencies ORDER BY job_id
