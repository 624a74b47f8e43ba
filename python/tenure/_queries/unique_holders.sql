-- Who holds these unique keys, in their order: nobody, or a job with whether its hold after the end is over. The window that a key
-- names, if any, is the server's now plus as many windows as are given.
SELECT j.job_id, j.job_type, j.queue, j.mode, k.unique_key,
    j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED') AS waits,
    j.unique_until = 'hold' AND j.completed_at + j.unique_hold_ms * interval '1 millisecond' <= now() AS over
FROM unnest($1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS a(unique_key, window_ms, ahead, place)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN a.window_ms IS NULL THEN a.unique_key
        ELSE a.unique_key || '@' || (floor(extract(epoch FROM now()) * 1000 / a.window_ms)::bigint + a.ahead)
    END AS unique_key
) AS k
LEFT JOIN {schema}.jobs AS j ON j.unique_key = k.unique_key AND j.unique_key IS NOT NULL AND (
    (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING') AND (j.unique_until <> 'started' OR j.started_at IS NULL))
    OR (j.unique_until IN ('window', 'hold') AND j.status IN ('COMPLETED', 'FAILED'))
)
ORDER BY a.place
