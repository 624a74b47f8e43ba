UPDATE {schema}.dead_letter_queue SET reason = 'dead' WHERE reason = 'refused';
ALTER TABLE {schema}.dead_letter_queue
    DROP CONSTRAINT IF EXISTS dead_letter_queue_reason_known,
    ADD CONSTRAINT dead_letter_queue_reason_known CHECK (
        reason IN ('exhausted', 'poison', 'dead', 'invalid', 'unknown_job_type')
    );
