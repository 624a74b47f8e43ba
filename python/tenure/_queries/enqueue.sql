-- Insert a batch of jobs. A job id or an idempotency key that exists already inserts nothing, so the same batch may be
-- sent again after an unknown outcome. Each job names its profile by its place; where there is one only, none does. Arrays that
-- are shorter than that of the ids stand for defaults. run_at: a given time, or the server's now plus a delay. Returns how many
-- were new, their ids only if not all were, and the time.
WITH inserted AS (
    INSERT INTO {schema}.jobs (
        job_id, job_type, queue, payload, payload_format, priority, mode, max_retries, timeout_ms, idempotency_key,
        pending_dependencies, has_dependents, tags, metadata, run_at, status, completed_at
    )
    SELECT
        u.job_id, p.job_type, p.queue, u.payload, p.payload_format, p.priority, p.mode, p.max_retries, p.timeout_ms,
        u.idempotency_key, COALESCE(u.pending_dependencies, 0), COALESCE(u.has_dependents, false),
        COALESCE(p.tags::text[], '{}'), COALESCE(p.metadata::jsonb, '{}'), r.run_at,
        CASE
            WHEN u.cancelled THEN 'CANCELLED'
            WHEN u.pending_dependencies > 0 THEN 'BLOCKED'
            WHEN r.run_at > now() THEN 'SCHEDULED'
            ELSE 'PENDING'
        END,
        CASE WHEN u.cancelled THEN now() END
    FROM unnest($1::uuid[], $2::bytea[], $3::int[], $4::text[], $5::int[], $6::boolean[], $7::boolean[])
        AS u(job_id, payload, profile, idempotency_key, pending_dependencies, has_dependents, cancelled)
    JOIN unnest(
        $8::text[], $9::text[], $10::text[], $11::smallint[], $12::text[], $13::int[], $14::int[], $15::text[], $16::text[],
        $17::timestamptz[], $18::bigint[]
    ) WITH ORDINALITY AS p(
        job_type, queue, payload_format, priority, mode, max_retries, timeout_ms, tags, metadata, run_at, delay_ms, place
    ) ON p.place = COALESCE(u.profile, 1)
    CROSS JOIN LATERAL (SELECT COALESCE(p.run_at, now() + p.delay_ms * interval '1 millisecond') AS run_at) AS r
    ON CONFLICT DO NOTHING
    RETURNING job_id
)
SELECT
    count(*)::int AS inserted,
    (extract(epoch FROM now()) * 1000)::bigint AS now_ms,
    CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(job_id) END AS job_ids
FROM inserted
