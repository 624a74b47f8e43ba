-- Times after which a job is not wanted any more: expires_at if it has not started by then, deadline_at whatever it has done. A job with a
-- deadline expires by then too. And how often a job was snoozed. Few jobs have any of these; others have no entry in the index.
ALTER TABLE {schema}.jobs
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN deadline_at timestamptz,
    ADD COLUMN snoozes int;

-- Not validated: rows that are there are not read under the lock, and have none of these.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_expires_at_range
        CHECK (expires_at >= '1970-01-01 00:00:00+00' AND expires_at < '3000-01-01 00:00:00+00') NOT VALID,
    ADD CONSTRAINT jobs_deadline_expires CHECK (deadline_at IS NULL OR COALESCE(expires_at <= deadline_at, false)) NOT VALID,
    ADD CONSTRAINT jobs_deadline_at_range CHECK (deadline_at < '3000-01-01 00:00:00+00') NOT VALID,
    ADD CONSTRAINT jobs_snoozes_positive CHECK (snoozes > 0) NOT VALID;

-- What counts before the first start, and what after it, as the statements have it.
CREATE INDEX idx_jobs_expiry ON {schema}.jobs ((CASE WHEN started_at IS NULL THEN expires_at ELSE deadline_at END))
    WHERE expires_at IS NOT NULL AND status IN ('PENDING', 'SCHEDULED', 'BLOCKED');

-- One more reason for a dead letter. The table is read once under its lock; it holds what failed in a month.
ALTER TABLE {schema}.dead_letter_queue
    DROP CONSTRAINT dead_letter_queue_reason_known,
    ADD CONSTRAINT dead_letter_queue_reason_known CHECK (
        reason IN ('exhausted', 'poison', 'dead', 'invalid', 'unknown_job_type', 'refused', 'deadline')
    );
