-- Settle a batch of attempts that did not complete, guarded by the fence: retry, snooze, release, cancel, dead. A job
-- whose cancellation was asked for does not come back. A job that others depend on is passed over unless $12.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
WITH verdict AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[], $8::smallint[],
        $9::float8[], $10::text[], $11::uuid[], $13::int[]
    ) WITH ORDINALITY AS v(
        job_id, fence, status, execution_status, error, delay_ms, attempts_back, priority, duration_ms, reason, dlq_id, most_snoozes, place
    )
), settled AS (
    UPDATE {schema}.jobs AS j
    SET status = CASE
            WHEN j.cancel_requested_at IS NOT NULL AND v.status IN ('PENDING', 'SCHEDULED') THEN 'CANCELLED'
            WHEN j.snoozes >= v.most_snoozes THEN 'FAILED'
            ELSE v.status
        END,
        completed_at = CASE
            WHEN j.cancel_requested_at IS NOT NULL OR v.status NOT IN ('PENDING', 'SCHEDULED') OR j.snoozes >= v.most_snoozes THEN now()
        END,
        snoozes = CASE WHEN v.execution_status = 'SNOOZED' THEN COALESCE(j.snoozes, 0) + 1 ELSE j.snoozes END,
        attempts = j.attempts - v.attempts_back,
        -- what waits for it may keep it up: that is found when its own has fallen
        priority = CASE WHEN j.has_dependents THEN j.priority ELSE COALESCE(v.priority, j.priority) END,
        own_priority = CASE
            WHEN j.has_dependents AND v.priority < COALESCE(j.own_priority, j.priority) THEN v.priority
            ELSE j.own_priority
        END,
        run_at = now() + v.delay_ms * interval '1 millisecond',
        error = CASE WHEN j.snoozes >= v.most_snoozes THEN 'snoozed more than ' || v.most_snoozes || ' times' ELSE v.error END,
        worker_id = NULL,
        updated_at = now()
    FROM verdict AS v
    WHERE j.job_id = v.job_id AND j.fence = v.fence AND (j.status = 'PROCESSING') IS TRUE AND ($12 OR NOT j.has_dependents)
    RETURNING j.job_id, j.fence, j.status, j.job_type, j.queue, j.payload, j.payload_format, j.priority,
        j.attempts, j.tags, j.metadata, v.execution_status, j.error, v.duration_ms, COALESCE(v.reason, 'dead') AS reason, v.dlq_id, v.place
), audited AS (
    UPDATE {schema}.job_executions AS e
    SET status = s.execution_status, completed_at = now(), duration_ms = s.duration_ms, error = s.error
    FROM settled AS s
    WHERE e.job_id = s.job_id AND e.fence = s.fence
), buried AS (
    INSERT INTO {schema}.dead_letter_queue (
        dlq_id, original_job_id, job_type, queue, payload, payload_format, priority, attempts, reason, error, tags,
        metadata, failed_at
    )
    SELECT dlq_id, job_id, job_type, queue, payload, payload_format, priority, attempts, reason, error, tags, metadata, now()
    FROM settled
    WHERE status = 'FAILED'
    ON CONFLICT (original_job_id) DO NOTHING
)
SELECT place::int AS place, status FROM settled
