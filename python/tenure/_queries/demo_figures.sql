-- What the demo's jobs came to, all in one snapshot.
WITH attempts AS (
    SELECT job_id, count(*) AS attempts, count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
        count(*) FILTER (WHERE status = 'LOST') AS lost, count(*) FILTER (WHERE status = 'FAILED') AS failed
    FROM {schema}.job_executions
    GROUP BY job_id
)
SELECT
    count(*) AS jobs,
    count(*) FILTER (WHERE j.status = 'COMPLETED') AS completed,
    count(*) FILTER (WHERE j.status = 'FAILED') AS failed,
    count(*) FILTER (WHERE j.status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')) AS unfinished,
    (SELECT count(*) FROM {schema}.dead_letter_queue) AS dead_letters,
    COALESCE(sum(a.failed), 0)::bigint - count(*) FILTER (WHERE j.status = 'FAILED') AS retries,
    COALESCE(sum(a.lost), 0)::bigint AS rescued,
    count(*) FILTER (WHERE a.completed > 1 OR (j.status = 'COMPLETED') <> (COALESCE(a.completed, 0) = 1)) AS duplicates
FROM {schema}.jobs AS j
LEFT JOIN attempts AS a ON a.job_id = j.job_id
