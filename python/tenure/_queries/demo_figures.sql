-- What the demo's jobs came to, all in one snapshot.
WITH attempts AS (
    SELECT job_id, max(fence) AS last_fence, count(*) - count(DISTINCT fence) AS doubled,
        count(*) FILTER (WHERE status NOT IN ('RELEASED', 'SNOOZED')) AS counted,
        count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
        count(*) FILTER (WHERE status = 'LOST') AS lost,
        count(*) FILTER (WHERE status = 'PROCESSING') AS open
    FROM {schema}.job_executions
    GROUP BY job_id
)
SELECT
    count(*) AS jobs,
    count(*) FILTER (WHERE j.status = 'COMPLETED') AS completed,
    count(*) FILTER (WHERE j.status = 'FAILED') AS failed,
    count(*) FILTER (WHERE j.status = 'CANCELLED') AS cancelled,
    count(*) FILTER (WHERE j.completed_at IS NULL) AS unfinished,
    (SELECT count(*) FROM {schema}.dead_letter_queue) AS dead_letters,
    (
        SELECT count(*)
        FROM (SELECT job_id FROM {schema}.jobs WHERE status = 'FAILED') AS f
        FULL JOIN {schema}.dead_letter_queue AS d ON d.original_job_id = f.job_id
        WHERE f.job_id IS NULL OR d.dlq_id IS NULL
    ) AS unmatched_dead_letters,
    (
        SELECT count(*)
        FROM {schema}.job_executions AS e
        JOIN {schema}.jobs AS f ON f.job_id = e.job_id
        WHERE e.status = 'FAILED' AND e.attempt <= f.max_retries
    ) AS retries,
    COALESCE(sum(a.lost), 0)::bigint AS rescued,
    count(*) FILTER (WHERE a.completed > 1) AS duplicates,
    -- A fence that two rows share, an attempt that has no row, one that never ended, or a job that completed without one.
    count(*) FILTER (
        WHERE a.doubled > 0 OR a.last_fence > j.fence OR a.open > 0 OR COALESCE(a.counted, 0) <> j.attempts
            OR (j.status = 'COMPLETED') <> (COALESCE(a.completed, 0) > 0)
    ) AS misaudited
FROM {schema}.jobs AS j
LEFT JOIN attempts AS a ON a.job_id = j.job_id
