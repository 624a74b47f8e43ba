UPDATE {schema}.dead_letter_queue SET reason = 'exhausted' WHERE reason = 'deadline';

ALTER TABLE {schema}.dead_letter_queue
    DROP CONSTRAINT IF EXISTS dead_letter_queue_reason_known,
    ADD CONSTRAINT dead_letter_queue_reason_known CHECK (
        reason IN ('exhausted', 'poison', 'dead', 'invalid', 'unknown_job_type', 'refused')
    );

DROP INDEX IF EXISTS {schema}.idx_jobs_expiry;
ALTER TABLE {schema}.jobs
    DROP COLUMN IF EXISTS expires_at,
    DROP COLUMN IF EXISTS deadline_at,
    DROP COLUMN IF EXISTS snoozes;
