-- How far the demo is, all in one snapshot; the probes do not count as its work.
SELECT
    count(*) FILTER (WHERE completed_at IS NOT NULL AND job_type <> 'probe') AS done,
    count(*) FILTER (WHERE completed_at IS NULL) AS unfinished,
    count(*) FILTER (WHERE completed_at IS NULL AND priority = 5 AND job_type <> 'probe') AS urgent,
    (
        SELECT count(*)
        FROM {schema}.job_executions AS e
        JOIN {schema}.jobs AS f ON f.job_id = e.job_id
        WHERE e.status = 'FAILED' AND e.attempt <= f.max_retries
    ) AS retries,
    (SELECT count(*) FROM {schema}.job_executions WHERE status = 'LOST') AS rescued
FROM {schema}.jobs
