DROP TRIGGER IF EXISTS trigger_jobs_delete_executions ON {schema}.jobs;
DROP FUNCTION IF EXISTS {schema}.delete_job_executions();
UPDATE {schema}.job_executions AS e
SET worker_id = NULL
WHERE e.worker_id IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.worker_id = e.worker_id);
ALTER TABLE {schema}.job_executions
    ADD CONSTRAINT job_executions_job_id_fkey FOREIGN KEY (job_id) REFERENCES {schema}.jobs (job_id) ON DELETE CASCADE,
    ADD CONSTRAINT job_executions_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES {schema}.workers (worker_id) ON DELETE SET NULL;
