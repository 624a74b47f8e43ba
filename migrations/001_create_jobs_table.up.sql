-- The core of it: one row per job. Statements set updated_at themselves; the trigger is for whoever forgets, and costs the others nothing.
CREATE TABLE {schema}.jobs (
    job_id uuid NOT NULL,  -- UUIDv7, made by the client: a batch may be sent twice
    job_type text NOT NULL,
    queue text NOT NULL DEFAULT 'default',
    payload bytea NOT NULL DEFAULT '',
    payload_format text NOT NULL DEFAULT 'json',
    priority smallint NOT NULL DEFAULT 3,
    status text NOT NULL DEFAULT 'PENDING',
    mode text NOT NULL DEFAULT 'before',  -- whether a start is recorded before the run or behind it
    attempts integer NOT NULL DEFAULT 0,
    max_retries integer NOT NULL DEFAULT 5,
    crashes smallint NOT NULL DEFAULT 0,  -- attempts that ended with their worker
    fence bigint NOT NULL DEFAULT 0,  -- rises once per lease, never falls
    timeout_ms integer,
    run_at timestamptz NOT NULL DEFAULT now(),
    idempotency_key text,
    worker_id uuid,  -- no foreign key: it would cost a look-up per start, and job_executions has one
    pending_dependencies integer NOT NULL DEFAULT 0,
    has_dependents boolean NOT NULL DEFAULT false,
    cancel_requested_at timestamptz,
    progress real,
    progress_note text,
    result bytea,
    result_format text,
    error text,
    tags text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    CONSTRAINT jobs_pkey PRIMARY KEY (job_id),
    CONSTRAINT jobs_job_type_length CHECK (octet_length(job_type) BETWEEN 1 AND 255),
    CONSTRAINT jobs_queue_length CHECK (octet_length(queue) BETWEEN 1 AND 128),
    CONSTRAINT jobs_payload_format_known CHECK (payload_format IN ('json', 'msgpack')),
    CONSTRAINT jobs_priority_range CHECK (priority BETWEEN 1 AND 5),
    CONSTRAINT jobs_status_known CHECK (
        status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED')
    ),
    CONSTRAINT jobs_mode_known CHECK (mode IN ('before', 'behind')),
    CONSTRAINT jobs_attempts_not_negative CHECK (attempts >= 0),
    CONSTRAINT jobs_max_retries_range CHECK (max_retries BETWEEN 0 AND 1000),
    CONSTRAINT jobs_crashes_not_negative CHECK (crashes >= 0),
    CONSTRAINT jobs_fence_not_negative CHECK (fence >= 0),
    CONSTRAINT jobs_timeout_positive CHECK (timeout_ms > 0),
    CONSTRAINT jobs_idempotency_key_length CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
    CONSTRAINT jobs_pending_dependencies_not_negative CHECK (pending_dependencies >= 0),
    CONSTRAINT jobs_progress_range CHECK (progress BETWEEN 0 AND 1),
    CONSTRAINT jobs_ended_has_time CHECK (
        (status IN ('COMPLETED', 'FAILED', 'CANCELLED')) = (completed_at IS NOT NULL)
    ),
    CONSTRAINT jobs_processing_has_worker CHECK (status <> 'PROCESSING' OR worker_id IS NOT NULL),
    CONSTRAINT jobs_blocked_waits CHECK (status <> 'BLOCKED' OR pending_dependencies > 0)
) WITH (
    -- A job's row is written three times: room on its page saves a new page for its later versions.
    fillfactor = 80,
    -- Every job leaves two dead versions behind: vacuum small and often, before they are many.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

-- All three are partial: a completed job, of which there are most, has no entry in any of them.
-- The first one pages through the live jobs of a queue by id, for the reconciler and the rebuild.
CREATE INDEX idx_jobs_status ON {schema}.jobs (queue, job_id, status)
    WHERE status IN ('PENDING', 'SCHEDULED', 'PROCESSING');
CREATE INDEX idx_jobs_priority_created_at ON {schema}.jobs (priority DESC, created_at) WHERE status = 'PENDING';
CREATE INDEX idx_jobs_worker_id ON {schema}.jobs (worker_id) WHERE status = 'PROCESSING';

CREATE FUNCTION {schema}.update_jobs_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER trigger_jobs_updated_at BEFORE UPDATE ON {schema}.jobs
FOR EACH ROW WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
EXECUTE FUNCTION {schema}.update_jobs_updated_at();
