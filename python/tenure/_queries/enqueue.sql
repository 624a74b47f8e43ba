-- Insert a batch of jobs. A job id, an idempotency key or a unique key that is taken inserts nothing, so the same batch may be
-- sent again after an unknown outcome. Where all jobs have one profile ($19), its columns hold one element each, else one for each
-- job. Other arrays that are shorter than that of the ids stand for defaults. run_at: a given time, or the server's now plus a
-- delay. What few jobs have is one JSON object, `rare`, and unique keys ($20) are completed by the number of their window, if they have one.
-- Returns how many were new, their ids only if not all were, the time, the highest priorities that tenants may have, and queues by deadline.
WITH inserted AS (
    INSERT INTO {schema}.jobs (
        job_id, payload, idempotency_key, pending_dependencies, has_dependents, job_type, queue, payload_format, priority, mode,
        max_retries, timeout_ms, tags, metadata, run_at, status, completed_at, unique_key, unique_until, unique_hold_ms,
        expires_at, deadline_at, workflow_id, tenant, requires, limit_key, cost
    )
    SELECT
        u.job_id, u.payload, u.idempotency_key, COALESCE(u.pending_dependencies, 0), COALESCE(u.has_dependents, false),
        CASE WHEN $19::boolean THEN (SELECT ($7::text[])[1]) ELSE u.job_type END,
        CASE WHEN $19::boolean THEN (SELECT ($8::text[])[1]) ELSE u.queue END,
        CASE WHEN $19::boolean THEN (SELECT ($9::text[])[1]) ELSE u.payload_format END,
        CASE WHEN given.rare->>'tenant' IS NULL THEN given.priority ELSE {schema}.tenant_priority(given.rare->>'tenant', given.priority) END,
        CASE WHEN $19::boolean THEN (SELECT ($11::text[])[1]) ELSE u.mode END,
        CASE WHEN $19::boolean THEN (SELECT ($12::int[])[1]) ELSE u.max_retries END,
        CASE WHEN $19::boolean THEN (SELECT ($13::int[])[1]) ELSE u.timeout_ms END,
        COALESCE(CASE WHEN $19::boolean THEN (SELECT ($14::text[])[1]) ELSE u.tags END::text[], '{}'),
        COALESCE(CASE WHEN $19::boolean THEN (SELECT ($15::text[])[1]) ELSE u.metadata END::jsonb, '{}'),
        t.run_at,
        CASE
            WHEN u.cancelled THEN 'CANCELLED'
            WHEN u.pending_dependencies > 0 THEN 'BLOCKED'
            WHEN t.run_at > now() THEN 'SCHEDULED'
            ELSE 'PENDING'
        END,
        CASE WHEN u.cancelled THEN now() END,
        CASE WHEN u.unique_key IS NOT NULL THEN u.unique_key || COALESCE('@' || w.number, '') END,
        CASE WHEN u.unique_key IS NOT NULL THEN given.rare->>'unique_until' END,
        CASE WHEN u.unique_key IS NOT NULL THEN (given.rare->>'unique_hold_ms')::bigint END,
        CASE WHEN given.rare IS NOT NULL THEN LEAST(
            (given.rare->>'expires_at')::timestamptz, now() + (given.rare->>'expires_ms')::bigint * interval '1 millisecond', t.deadline_at
        ) END,
        t.deadline_at, (given.rare->>'workflow_id')::uuid,
        given.rare->>'tenant', given.rare->>'requires', given.rare->>'limit_key', (given.rare->>'cost')::int
    FROM unnest(
        $1::uuid[], $2::bytea[], $3::text[], $4::int[], $5::boolean[], $6::boolean[], $7::text[], $8::text[], $9::text[],
        $10::smallint[], $11::text[], $12::int[], $13::int[], $14::text[], $15::text[], $16::timestamptz[], $17::bigint[],
        $18::text[], $20::text[]
    ) AS u(
        job_id, payload, idempotency_key, pending_dependencies, has_dependents, cancelled, job_type, queue, payload_format,
        priority, mode, max_retries, timeout_ms, tags, metadata, run_at, delay_ms, rare, unique_key
    )
    CROSS JOIN LATERAL (
        SELECT COALESCE(
                CASE WHEN $19::boolean THEN (SELECT ($16::timestamptz[])[1]) ELSE u.run_at END,
                now() + CASE WHEN $19::boolean THEN (SELECT ($17::bigint[])[1]) ELSE u.delay_ms END * interval '1 millisecond'
            ) AS run_at,
            CASE WHEN $19::boolean THEN (SELECT ($18::text[])[1]::jsonb) ELSE u.rare::jsonb END AS rare,
            CASE WHEN $19::boolean THEN (SELECT ($10::smallint[])[1]) ELSE u.priority END AS priority OFFSET 0
    ) AS given
    CROSS JOIN LATERAL (
        SELECT floor(extract(epoch FROM now()) * 1000 / (given.rare->>'window_ms')::bigint)::bigint + (given.rare->>'windows_ahead')::int AS number
    ) AS w
    CROSS JOIN LATERAL (
        SELECT CASE
                WHEN u.unique_key IS NOT NULL AND (given.rare->>'windows_ahead')::int > 0
                THEN GREATEST(given.run_at, to_timestamp(w.number * ((given.rare->>'window_ms')::bigint / 1000.0)::float8))
                ELSE given.run_at
            END AS run_at,
            CASE WHEN given.rare IS NOT NULL THEN LEAST(
                (given.rare->>'deadline_at')::timestamptz, now() + (given.rare->>'deadline_ms')::bigint * interval '1 millisecond'
            ) END AS deadline_at
    ) AS t
    ON CONFLICT DO NOTHING
    RETURNING job_id, tenant, deadline_at
)
SELECT count(*)::int AS inserted, (extract(epoch FROM now()) * 1000)::bigint AS now_ms,
    CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(job_id) END AS job_ids,
    CASE WHEN count(tenant) > 0 THEN (SELECT jsonb_object_agg(t.tenant, t.max_priority) FROM {schema}.tenants AS t
        WHERE t.max_priority IS NOT NULL AND t.tenant = ANY(array_agg(inserted.tenant) FILTER (WHERE inserted.tenant IS NOT NULL))) END AS most,
    CASE WHEN count(deadline_at) > 0 THEN (SELECT array_agg(queue) FROM {schema}.queue_policies WHERE order_by = 'deadline') END AS by_deadline
FROM inserted
