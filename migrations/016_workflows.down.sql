DROP TRIGGER IF EXISTS trigger_job_dependencies_no_cycle ON {schema}.job_dependencies;
DROP FUNCTION IF EXISTS {schema}.refuse_dependency_cycles();
DROP FUNCTION IF EXISTS {schema}.inherited_priority(uuid, integer);
DROP INDEX IF EXISTS {schema}.idx_jobs_workflow_id;
ALTER TABLE {schema}.jobs
    DROP COLUMN IF EXISTS workflow_id,
    DROP COLUMN IF EXISTS own_priority;
DROP TABLE IF EXISTS {schema}.workflows;
