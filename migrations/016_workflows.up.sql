-- Workflows: jobs that were enqueued as one graph, and the job that is released when all of them have ended. Their state is counted, not kept.
CREATE TABLE {schema}.workflows (
    workflow_id uuid NOT NULL,
    name text,
    jobs integer NOT NULL,
    callback_job_id uuid,
    deadline_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflows_pkey PRIMARY KEY (workflow_id),
    CONSTRAINT workflows_name_length CHECK (octet_length(name) BETWEEN 1 AND 255),
    CONSTRAINT workflows_jobs_positive CHECK (jobs > 0)
);

-- workflow_id: the graph that a job is part of; no foreign key, for its check would cost each job a look. own_priority: what a lifted job's
-- priority was, and will be again: `priority` is always the one that counts. Few jobs have either; others have no entry in the index.
ALTER TABLE {schema}.jobs
    ADD COLUMN workflow_id uuid,
    ADD COLUMN own_priority smallint;

-- Not validated: rows that are there are not read under the lock, and have none of these.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_own_priority_range CHECK (own_priority BETWEEN 1 AND priority) NOT VALID;

-- With the state, so that the state of a workflow is counted in the index alone.
CREATE INDEX idx_jobs_workflow_id ON {schema}.jobs (workflow_id, status) WHERE workflow_id IS NOT NULL;

-- The one place where the priority that a job may be lifted to is bounded: min(limit, priority), and the limit is the highest there is.
CREATE FUNCTION {schema}.inherited_priority(job_id uuid, priority integer)
RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT LEAST(5, priority)
$$;

-- No job may wait for itself, by whatever way. A graph is free of cycles if each edge of a job was inserted before the first one that names it
-- as a parent; new jobs are nobody else's yet, so for them that is all there is to see, one look per job. Whoever gives edges to
-- jobs that others can see does so one after the other, and all that the parent waits for is walked.
CREATE FUNCTION {schema}.refuse_dependency_cycles()
RETURNS trigger
LANGUAGE plpgsql
-- The plan is made once, when the batch may be small, and must be right when it is not.
SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    looped uuid;
BEGIN
    PERFORM FROM (
        SELECT job_id, min(place) FILTER (WHERE parent) AS named, max(place) FILTER (WHERE NOT parent) AS last,
            count(*) FILTER (WHERE parent) AS children
        FROM (
            SELECT CASE WHEN two.parent THEN e.depends_on_job_id ELSE e.job_id END AS job_id, e.place, two.parent
            FROM (SELECT job_id, depends_on_job_id, row_number() OVER () AS place FROM added) AS e
            CROSS JOIN (VALUES (true), (false)) AS two(parent)
        ) AS ends
        GROUP BY job_id
        HAVING max(place) FILTER (WHERE NOT parent) IS NOT NULL
    ) AS child
    WHERE named <= last
        OR NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.job_id = child.job_id AND j.created_at = now())
        OR (SELECT count(*) FROM {schema}.job_dependencies AS d WHERE d.depends_on_job_id = child.job_id) > children;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'edges of jobs that are there already need the isolation level read committed'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    -- Two of them must not look past each other's edges; what the lock waited for is seen by the next statement.
    PERFORM pg_advisory_xact_lock('{schema}.job_dependencies'::regclass::oid::bigint);
    FOR looped IN SELECT DISTINCT job_id FROM added LOOP
        PERFORM FROM (
            WITH RECURSIVE above(job_id) AS (
                SELECT depends_on_job_id FROM {schema}.job_dependencies WHERE job_id = looped
                UNION
                SELECT d.depends_on_job_id FROM above AS a JOIN {schema}.job_dependencies AS d ON d.job_id = a.job_id
            )
            SELECT job_id FROM above
        ) AS waited_for
        WHERE waited_for.job_id = looped;
        IF FOUND THEN
            RAISE EXCEPTION 'a job would wait for itself: %', looped
                USING ERRCODE = 'check_violation', SCHEMA = '{schema}', TABLE = 'job_dependencies',
                    CONSTRAINT = 'job_dependencies_no_cycle';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER trigger_job_dependencies_no_cycle AFTER INSERT ON {schema}.job_dependencies
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_dependency_cycles();
