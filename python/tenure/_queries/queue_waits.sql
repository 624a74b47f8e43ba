-- Of each of these queues, in which jobs are ready: whether it is paused, and for how many seconds the oldest of its ready jobs has
-- waited; 0 where there is none after all. Looked at are those that were enqueued first: one that came back late, from a retry for
-- one, hides no other. A queue's thousand oldest live jobs are a millisecond of work; only where those all wait for something
-- else, its live jobs are passed until a hundred are ready (a million: 40 to 70 ms). The bounds stand in the place of an equality so that the one index is read that has live jobs
-- only, in this order: by the primary key, a million completed jobs would be passed first.
SELECT q.queue, p.queue IS NOT NULL AS paused, greatest(COALESCE((
    SELECT extract(epoch FROM now() - min(o.run_at))
    FROM (
        SELECT j.run_at, j.status FROM {schema}.jobs AS j
        WHERE j.queue >= q.queue AND j.queue <= q.queue AND j.status IN ('PENDING', 'SCHEDULED', 'PROCESSING')
        ORDER BY j.queue, j.job_id
        LIMIT 1000
    ) AS o
    WHERE o.status = 'PENDING'
), (
    SELECT extract(epoch FROM now() - min(o.run_at))
    FROM (
        SELECT j.run_at FROM {schema}.jobs AS j
        WHERE j.queue >= q.queue AND j.queue <= q.queue AND j.status = 'PENDING'
        ORDER BY j.queue, j.job_id
        LIMIT 100
    ) AS o
)), 0)::float8 AS oldest_seconds
FROM unnest($1::text[]) AS q(queue)
LEFT JOIN {schema}.paused_queues AS p ON p.queue = q.queue
