-- Jobs that no retry is left for. No foreign key: a dead letter may outlive its job.
CREATE TABLE {schema}.dead_letter_queue (
    dlq_id uuid NOT NULL,
    original_job_id uuid NOT NULL,
    job_type text NOT NULL,
    queue text NOT NULL,
    payload bytea NOT NULL,
    payload_format text NOT NULL DEFAULT 'json',
    priority smallint NOT NULL,
    attempts integer NOT NULL,
    reason text NOT NULL,
    error text,
    tags text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    failed_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dead_letter_queue_pkey PRIMARY KEY (dlq_id),
    CONSTRAINT dead_letter_queue_reason_known CHECK (
        reason IN ('exhausted', 'poison', 'dead', 'invalid', 'unknown_job_type')
    ),
    CONSTRAINT dead_letter_queue_priority_range CHECK (priority BETWEEN 1 AND 5)
);

-- Unique: a job has one dead letter or none.
CREATE UNIQUE INDEX idx_dead_letter_queue_original_job_id ON {schema}.dead_letter_queue (original_job_id);
CREATE INDEX idx_dead_letter_queue_job_type ON {schema}.dead_letter_queue (job_type);
CREATE INDEX idx_dead_letter_queue_created_at ON {schema}.dead_letter_queue (created_at);
