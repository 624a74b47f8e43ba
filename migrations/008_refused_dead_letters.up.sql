-- One more reason for a dead letter: its seal was refused. The table is read once under its lock; it holds what failed in a month.
ALTER TABLE {schema}.dead_letter_queue
    DROP CONSTRAINT dead_letter_queue_reason_known,
    ADD CONSTRAINT dead_letter_queue_reason_known CHECK (
        reason IN ('exhausted', 'poison', 'dead', 'invalid', 'unknown_job_type', 'refused')
    );
