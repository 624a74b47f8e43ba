-- The queues that have jobs waiting or running: an index look-up for each, however many jobs there are.
WITH RECURSIVE found AS (
    (SELECT queue FROM {schema}.jobs WHERE status IN ('PENDING', 'SCHEDULED', 'PROCESSING') ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT j.queue FROM {schema}.jobs AS j
        WHERE j.queue > found.queue AND j.status IN ('PENDING', 'SCHEDULED', 'PROCESSING')
        ORDER BY j.queue LIMIT 1
    )
    FROM found WHERE found.queue IS NOT NULL
)
SELECT queue FROM found WHERE queue IS NOT NULL
