-- Take back expired leases. A recorded attempt is lost: it counts as a crash, and its job goes back to the queue, or to
-- the dead letters when its attempts or its crashes ran out. A lease whose start was never recorded only burns its fence, so that
-- its late owner can record nothing; where starts are recorded behind the run it may have run, and counts as lost too. Rows that
-- somebody else holds are passed over: a process that was stopped in the middle of a statement holds its rows for as long as it
-- likes, and others must not wait for it. The rows of recorded attempts are the next statement's, `lost.sql`.
WITH expired AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[]) AS x(job_id, fence, execution_id, dlq_id)
), taken AS (
    SELECT j.job_id, x.fence, x.execution_id, x.dlq_id, (j.fence = x.fence) AS recorded, r.ran,
        CASE
            WHEN j.cancel_requested_at IS NOT NULL THEN 'CANCELLED'
            WHEN NOT r.ran THEN j.status
            WHEN j.crashes + 1 >= $5 OR j.attempts + (j.fence < x.fence)::int > j.max_retries THEN 'FAILED'
            ELSE 'PENDING'
        END AS status,
        CASE WHEN j.crashes + 1 >= $5 THEN 'poison' ELSE 'exhausted' END AS reason
    FROM {schema}.jobs AS j
    JOIN expired AS x ON x.job_id = j.job_id
    CROSS JOIN LATERAL (SELECT (j.fence = x.fence OR j.mode = 'behind') AS ran) AS r
    WHERE (j.fence = x.fence AND j.status = 'PROCESSING')
        OR (j.fence = x.fence - 1 AND j.status IN ('PENDING', 'SCHEDULED'))
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j SKIP LOCKED
), rescued AS (
    UPDATE {schema}.jobs AS j
    SET status = t.status,
        fence = t.fence,
        attempts = j.attempts + (t.ran AND NOT t.recorded)::int,
        crashes = j.crashes + t.ran::int,
        error = CASE WHEN t.ran THEN 'the worker was lost' ELSE j.error END,
        completed_at = CASE WHEN t.status IN ('FAILED', 'CANCELLED') THEN now() END,
        worker_id = NULL,
        updated_at = now()
    FROM taken AS t
    WHERE j.job_id = t.job_id
    RETURNING j.job_id, j.queue, j.fence, j.status, j.has_dependents, j.job_type, j.payload, j.payload_format, j.priority,
        j.attempts, j.error, j.tags, j.metadata, t.recorded, t.ran, t.reason, t.execution_id, t.dlq_id
), unrecorded AS (
    INSERT INTO {schema}.job_executions (execution_id, job_id, fence, attempt, status, started_at, completed_at, error)
    SELECT execution_id, job_id, fence, attempts, 'LOST', now(), now(), 'the worker was lost before it recorded the start'
    FROM rescued
    WHERE ran AND NOT recorded
), buried AS (
    INSERT INTO {schema}.dead_letter_queue (
        dlq_id, original_job_id, job_type, queue, payload, payload_format, priority, attempts, reason, error, tags,
        metadata, failed_at
    )
    SELECT dlq_id, job_id, job_type, queue, payload, payload_format, priority, attempts, reason, error, tags, metadata, now()
    FROM rescued
    WHERE status = 'FAILED'
    ON CONFLICT (original_job_id) DO NOTHING
)
SELECT job_id, fence, status, has_dependents, ran, recorded FROM rescued
