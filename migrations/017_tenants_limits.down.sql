CREATE OR REPLACE FUNCTION {schema}.inherited_priority(job_id uuid, priority integer)
RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT LEAST(5, priority)
$$;

DROP TABLE IF EXISTS {schema}.queue_policies;
DROP TABLE IF EXISTS {schema}.limits;
DROP FUNCTION IF EXISTS {schema}.raise_fences(uuid[], boolean, text[], boolean, boolean);
DROP FUNCTION IF EXISTS {schema}.tenant_priority(text, smallint);
DROP TABLE IF EXISTS {schema}.tenants;

ALTER TABLE {schema}.workers DROP COLUMN IF EXISTS resources;

DROP INDEX IF EXISTS {schema}.idx_jobs_blocked;
DROP INDEX IF EXISTS {schema}.idx_jobs_limit_key;
DROP INDEX IF EXISTS {schema}.idx_jobs_tenant;
ALTER TABLE {schema}.jobs
    DROP COLUMN IF EXISTS tenant,
    DROP COLUMN IF EXISTS requires,
    DROP COLUMN IF EXISTS limit_key,
    DROP COLUMN IF EXISTS cost;
