-- Two foreign keys of job_executions cost a third of writing a row: each row of a batch ran a query of its own for either. What
-- they guarded holds without them. A row is only written by the statement that has just updated its job, so there is one; the
-- trigger below deletes the rows of deleted jobs, one statement for all. The audit keeps the id of a worker that was forgotten.
ALTER TABLE {schema}.job_executions
    DROP CONSTRAINT job_executions_job_id_fkey,
    DROP CONSTRAINT job_executions_worker_id_fkey;

CREATE FUNCTION {schema}.delete_job_executions() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    DELETE FROM {schema}.job_executions AS e USING deleted AS d WHERE e.job_id = d.job_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER trigger_jobs_delete_executions
    AFTER DELETE ON {schema}.jobs
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.delete_job_executions();
