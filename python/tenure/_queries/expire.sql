-- End waiting jobs whose time is over: those that never started are cancelled, those that did are dead letters. At most $2 of them, of the
-- jobs named, or of all; their dead letters take the ids $3. Rows that somebody holds are left to the next look.
WITH due AS (
    SELECT job_id, row_number() OVER () AS place
    FROM (
        SELECT job_id
        FROM {schema}.jobs
        WHERE expires_at IS NOT NULL AND status IN ('PENDING', 'SCHEDULED', 'BLOCKED')
            AND (CASE WHEN started_at IS NULL THEN expires_at ELSE deadline_at END) <= now()
            AND ($1::uuid[] IS NULL OR job_id = ANY($1))
        LIMIT $2
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked
), ended AS (
    UPDATE {schema}.jobs AS j
    SET status = CASE WHEN j.started_at IS NULL THEN 'CANCELLED' ELSE 'FAILED' END,
        error = CASE WHEN j.started_at IS NULL THEN 'expired, not started by ' ELSE 'the deadline has passed: ' END
            || to_char(CASE WHEN j.started_at IS NULL THEN j.expires_at ELSE j.deadline_at END AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS UTC'),
        completed_at = now(),
        updated_at = now()
    FROM due AS d
    WHERE j.job_id = d.job_id
    RETURNING j.job_id, j.queue, j.fence, j.status, j.has_dependents, j.job_type, j.payload, j.payload_format, j.priority, j.attempts,
        j.error, j.tags, j.metadata, j.pending_dependencies, d.place
), buried AS (
    INSERT INTO {schema}.dead_letter_queue (
        dlq_id, original_job_id, job_type, queue, payload, payload_format, priority, attempts, reason, error, tags,
        metadata, failed_at
    )
    SELECT ($3::uuid[])[place], job_id, job_type, queue, payload, payload_format, priority, attempts, 'deadline', error, tags, metadata, now()
    FROM ended
    WHERE status = 'FAILED'
    ON CONFLICT (original_job_id) DO NOTHING
)
SELECT job_id, queue, fence, status, has_dependents, pending_dependencies > 0 AS waited FROM ended
