-- The audit: one row per attempt. UNIQUE (job_id, fence) is the arbiter of the fence, and the index by job.
CREATE TABLE {schema}.job_executions (
    execution_id uuid NOT NULL,
    job_id uuid NOT NULL,
    worker_id uuid,
    fence bigint NOT NULL,
    attempt integer NOT NULL,
    status text NOT NULL DEFAULT 'PROCESSING',
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    duration_ms double precision,  -- by the worker's monotonic clock
    error text,
    CONSTRAINT job_executions_pkey PRIMARY KEY (execution_id),
    CONSTRAINT job_executions_job_id_fkey FOREIGN KEY (job_id) REFERENCES {schema}.jobs (job_id) ON DELETE CASCADE,
    CONSTRAINT job_executions_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES {schema}.workers (worker_id) ON DELETE SET NULL,
    CONSTRAINT job_executions_fence_positive CHECK (fence > 0),
    CONSTRAINT job_executions_attempt_positive CHECK (attempt > 0),
    CONSTRAINT job_executions_status_known CHECK (
        status IN ('PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED', 'SNOOZED', 'RELEASED', 'LOST')
    ),
    CONSTRAINT job_executions_ended_has_time CHECK ((status = 'PROCESSING') = (completed_at IS NULL))
) WITH (
    -- Each row is written twice; the second time in place.
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

CREATE UNIQUE INDEX idx_job_executions_job_id ON {schema}.job_executions (job_id, fence);
CREATE INDEX idx_job_executions_worker_id ON {schema}.job_executions (worker_id);
-- What ended well, which is most of it, has no entry.
CREATE INDEX idx_job_executions_status ON {schema}.job_executions (status) WHERE status NOT IN ('COMPLETED', 'PROCESSING');
CREATE INDEX idx_job_executions_started_at ON {schema}.job_executions (started_at);
