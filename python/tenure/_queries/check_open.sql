-- How many jobs have not ended, less those that wait for a parent that will not complete.
WITH RECURSIVE held AS (
    SELECT d.job_id
    FROM {schema}.job_dependencies AS d
    JOIN {schema}.jobs AS p ON p.job_id = d.depends_on_job_id
    JOIN {schema}.jobs AS c ON c.job_id = d.job_id
    WHERE c.status = 'BLOCKED' AND d.on_failure = 'hold' AND p.status IN ('FAILED', 'CANCELLED')
    UNION
    SELECT d.job_id
    FROM held AS h
    JOIN {schema}.job_dependencies AS d ON d.depends_on_job_id = h.job_id
    JOIN {schema}.jobs AS c ON c.job_id = d.job_id
    WHERE c.status = 'BLOCKED'
)
SELECT count(*) AS jobs
FROM {schema}.jobs
WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED') AND job_id NOT IN (SELECT job_id FROM held)
