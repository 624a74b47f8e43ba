-- The edges: a job, and one it waits for.
CREATE TABLE {schema}.job_dependencies (
    dependency_id uuid NOT NULL DEFAULT gen_random_uuid(),
    job_id uuid NOT NULL,
    depends_on_job_id uuid NOT NULL,
    on_failure text NOT NULL DEFAULT 'hold',
    satisfied_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_dependencies_pkey PRIMARY KEY (dependency_id),
    CONSTRAINT job_dependencies_job_id_fkey FOREIGN KEY (job_id) REFERENCES {schema}.jobs (job_id) ON DELETE CASCADE,
    -- A parent cannot be deleted while an edge names it: its child would wait for ever.
    CONSTRAINT job_dependencies_depends_on_job_id_fkey FOREIGN KEY (depends_on_job_id) REFERENCES {schema}.jobs (job_id),
    CONSTRAINT job_dependencies_unique UNIQUE (job_id, depends_on_job_id),
    CONSTRAINT job_dependencies_not_itself CHECK (job_id <> depends_on_job_id),
    CONSTRAINT job_dependencies_on_failure_known CHECK (on_failure IN ('hold', 'cancel', 'run'))
);

CREATE INDEX idx_job_dependencies_job_id ON {schema}.job_dependencies (job_id) WHERE satisfied_at IS NULL;
CREATE INDEX idx_job_dependencies_depends_on_job_id ON {schema}.job_dependencies (depends_on_job_id);

CREATE FUNCTION {schema}.get_runnable_jobs(max_jobs integer DEFAULT 100)
RETURNS SETOF {schema}.jobs
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT j.*
    FROM {schema}.jobs AS j
    WHERE (j.status = 'PENDING' OR (j.status = 'SCHEDULED' AND j.run_at <= now()))
        AND NOT EXISTS (
            SELECT FROM {schema}.job_dependencies AS d WHERE d.job_id = j.job_id AND d.satisfied_at IS NULL
        )
    ORDER BY j.priority DESC, j.run_at, j.job_id
    LIMIT max_jobs
$$;
