-- What the latest attempts, no more than $2 of the last $1, say of each queue: how many began a second, how many of those that ended
-- failed, how long jobs waited for their first attempt, and how long attempts ran. However much is done, the work is bounded.
WITH latest AS (
    SELECT job_id, attempt, status, started_at, duration_ms
    FROM {schema}.job_executions
    WHERE started_at > now() - $1::interval
    ORDER BY started_at DESC
    LIMIT $2
), span AS (
    SELECT CASE WHEN count(*) < $2 THEN extract(epoch FROM $1::interval)
        ELSE greatest(extract(epoch FROM clock_timestamp() - min(started_at)), 0.001) END::float8 AS seconds
    FROM latest
)
SELECT j.queue, count(*) / max(span.seconds) AS per_second,
    count(*) FILTER (WHERE e.status IN ('FAILED', 'LOST'))::float8
        / nullif(count(*) FILTER (WHERE e.status <> 'PROCESSING'), 0) AS failed,
    percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY CASE WHEN e.attempt = 1 THEN greatest(extract(epoch FROM e.started_at - greatest(j.run_at, j.created_at)), 0) * 1000 END
    )::float8[] AS wait_ms,
    percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY e.duration_ms)::float8[] AS run_ms
FROM latest AS e
JOIN {schema}.jobs AS j ON j.job_id = e.job_id
CROSS JOIN span
GROUP BY j.queue
ORDER BY j.queue
