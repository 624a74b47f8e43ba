-- The registry: one row per incarnation of a worker. Heartbeats are copied here in one statement by the holder of the duty.
CREATE TABLE {schema}.workers (
    worker_id uuid NOT NULL,
    worker_name text NOT NULL,
    worker_type text NOT NULL DEFAULT 'default',
    host text NOT NULL DEFAULT '',
    pid integer NOT NULL DEFAULT 0,
    queues text[] NOT NULL DEFAULT '{}',
    capabilities text[] NOT NULL DEFAULT '{}',
    concurrency integer NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'STARTING',
    current_job_id uuid,
    version text,
    labels jsonb NOT NULL DEFAULT '{}',
    health jsonb NOT NULL DEFAULT '{}',
    last_heartbeat timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workers_pkey PRIMARY KEY (worker_id),
    -- Deleting a job scans this table, for the column has no index: it stays small, and jobs are deleted in batches.
    CONSTRAINT workers_current_job_id_fkey FOREIGN KEY (current_job_id) REFERENCES {schema}.jobs (job_id) ON DELETE SET NULL,
    CONSTRAINT workers_name_length CHECK (octet_length(worker_name) BETWEEN 1 AND 255),
    CONSTRAINT workers_concurrency_positive CHECK (concurrency > 0),
    CONSTRAINT workers_status_known CHECK (
        status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'DRAINING', 'SUSPECT', 'FAILED', 'STOPPED')
    )
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX idx_workers_status ON {schema}.workers (status);
CREATE INDEX idx_workers_worker_type ON {schema}.workers (worker_type);
CREATE INDEX idx_workers_last_heartbeat ON {schema}.workers (last_heartbeat);

CREATE FUNCTION {schema}.mark_stale_workers(stale_after interval DEFAULT '60 seconds')
RETURNS TABLE (worker_id uuid)
LANGUAGE sql SET search_path = pg_catalog AS $$
    UPDATE {schema}.workers AS w
    SET status = 'FAILED', stopped_at = now(), updated_at = now()
    WHERE w.status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'DRAINING', 'SUSPECT') AND w.last_heartbeat < now() - stale_after
    RETURNING w.worker_id
$$;
