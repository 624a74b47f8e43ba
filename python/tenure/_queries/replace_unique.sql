-- Make of jobs that hold a unique key, and wait, what a later call says; where $3 is false only their time changes. The fence is raised
-- in the same write: whoever has leased such a job with its old payload or time can record no start, and runs nothing. What it is counted
-- by, its tenant and limit key, stays. $13: the longest
-- that the first call may be put off. Locked in the order of ids, so that no two batches wait for each other. Returns those changed.
WITH given AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::boolean[], $4::bytea[], $5::text[], $6::smallint[], $7::int[], $8::int[], $9::text[], $10::text[],
        $11::timestamptz[], $12::bigint[], $13::bigint[], $14::text[]
    ) AS g(
        job_id, unique_key, whole, payload, payload_format, priority, max_retries, timeout_ms, tags, metadata, run_at, delay_ms, most_ms, rare
    )
), locked AS (
    SELECT j.job_id, r.run_at, g.whole, g.payload, g.payload_format, g.max_retries, g.timeout_ms, g.tags, g.metadata, t.expires_at, t.deadline_at,
        CASE WHEN j.tenant IS NULL THEN g.priority ELSE {schema}.tenant_priority(j.tenant, g.priority) END AS priority,
        x.rare->>'requires' AS requires, (x.rare->>'cost')::int AS cost
    FROM given AS g
    JOIN {schema}.jobs AS j ON j.job_id = g.job_id
    CROSS JOIN LATERAL (
        SELECT LEAST(
            COALESCE(g.run_at, now() + g.delay_ms * interval '1 millisecond'),
            j.created_at + g.most_ms * interval '1 millisecond'
        ) AS run_at
    ) AS r
    CROSS JOIN LATERAL (SELECT g.rare::jsonb AS rare) AS x
    CROSS JOIN LATERAL (
        SELECT
            LEAST(
                (x.rare->>'expires_at')::timestamptz, now() + (x.rare->>'expires_ms')::bigint * interval '1 millisecond',
                (x.rare->>'deadline_at')::timestamptz, now() + (x.rare->>'deadline_ms')::bigint * interval '1 millisecond'
            ) AS expires_at,
            LEAST(
                (x.rare->>'deadline_at')::timestamptz, now() + (x.rare->>'deadline_ms')::bigint * interval '1 millisecond'
            ) AS deadline_at
    ) AS t
    WHERE j.unique_key = g.unique_key AND (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED')) IS TRUE AND j.mode = 'before'
        AND (j.unique_until <> 'started' OR j.started_at IS NULL)
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
)
UPDATE {schema}.jobs AS j
SET fence = j.fence + 1,
    run_at = l.run_at,
    status = CASE WHEN j.status = 'BLOCKED' THEN 'BLOCKED' WHEN l.run_at > now() THEN 'SCHEDULED' ELSE 'PENDING' END,
    payload = CASE WHEN l.whole THEN l.payload ELSE j.payload END,
    payload_format = CASE WHEN l.whole THEN l.payload_format ELSE j.payload_format END,
    -- what waits for it may keep it up: computed by the next statement
    priority = CASE WHEN l.whole THEN GREATEST(l.priority, CASE WHEN j.has_dependents THEN j.priority END) ELSE j.priority END,
    own_priority = CASE WHEN l.whole AND j.has_dependents THEN l.priority ELSE j.own_priority END,
    max_retries = CASE WHEN l.whole THEN l.max_retries ELSE j.max_retries END,
    timeout_ms = CASE WHEN l.whole THEN l.timeout_ms ELSE j.timeout_ms END,
    tags = CASE WHEN l.whole THEN COALESCE(l.tags::text[], '{}') ELSE j.tags END,
    metadata = CASE WHEN l.whole THEN COALESCE(l.metadata::jsonb, '{}') ELSE j.metadata END,
    expires_at = CASE WHEN l.whole THEN l.expires_at ELSE j.expires_at END,
    deadline_at = CASE WHEN l.whole THEN l.deadline_at ELSE j.deadline_at END,
    requires = CASE WHEN l.whole THEN l.requires ELSE j.requires END,
    cost = CASE WHEN l.whole THEN l.cost ELSE j.cost END,
    updated_at = now()
FROM locked AS l
WHERE j.job_id = l.job_id
RETURNING j.job_id, l.whole AND (j.has_dependents OR j.status = 'BLOCKED') AS inherits
