-- Insert a batch of jobs. A job id or an idempotency key that exists already inserts nothing, so the same batch may be
-- sent again after an unknown outcome. run_at: a given time, or the server's now plus a delay.
INSERT INTO {schema}.jobs (
    job_id, job_type, queue, payload, payload_format, priority, mode, max_retries, timeout_ms, idempotency_key,
    pending_dependencies, has_dependents, tags, metadata, run_at, status, completed_at
)
SELECT
    u.job_id, u.job_type, u.queue, u.payload, u.payload_format, u.priority, u.mode, u.max_retries, u.timeout_ms,
    u.idempotency_key, u.pending_dependencies, u.has_dependents, COALESCE(u.tags::text[], '{}'),
    COALESCE(u.metadata::jsonb, '{}'), r.run_at,
    CASE
        WHEN u.cancelled THEN 'CANCELLED'
        WHEN u.pending_dependencies > 0 THEN 'BLOCKED'
        WHEN r.run_at > now() THEN 'SCHEDULED'
        ELSE 'PENDING'
    END,
    CASE WHEN u.cancelled THEN now() END
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::smallint[], $7::text[], $8::int[], $9::int[],
    $10::text[], $11::int[], $12::boolean[], $13::text[], $14::text[], $15::timestamptz[], $16::bigint[], $17::boolean[]
) AS u(
    job_id, job_type, queue, payload, payload_format, priority, mode, max_retries, timeout_ms, idempotency_key,
    pending_dependencies, has_dependents, tags, metadata, run_at, delay_ms, cancelled
)
CROSS JOIN LATERAL (SELECT COALESCE(u.run_at, now() + u.delay_ms * interval '1 millisecond') AS run_at) AS r
ON CONFLICT DO NOTHING
RETURNING job_id, (extract(epoch FROM run_at) * 1000)::bigint AS run_at_ms, status
