-- Of each of these queues: whether it is paused, and for how many seconds the oldest of its ready jobs has waited, NULL where none
-- does. The hundred that were enqueued first are looked at: one that came back late, from a retry for one, hides no other.
SELECT q.queue, p.queue IS NOT NULL AS paused, (
    SELECT greatest(extract(epoch FROM now() - min(o.run_at)), 0)::float8
    FROM (
        SELECT j.run_at FROM {schema}.jobs AS j
        WHERE j.queue = q.queue AND j.status = 'PENDING'
        ORDER BY j.job_id
        LIMIT 100
    ) AS o
) AS oldest_seconds
FROM unnest($1::text[]) AS q(queue)
LEFT JOIN {schema}.paused_queues AS p ON p.queue = q.queue
