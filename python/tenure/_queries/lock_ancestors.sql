-- Lock these jobs and all that they wait for: whose priority depends on theirs. A statement with a newer snapshot then computes it.
WITH RECURSIVE above(job_id) AS (
    SELECT * FROM unnest($1::uuid[]) AS u(job_id)
    UNION
    SELECT d.depends_on_job_id
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = a.job_id
    WHERE (j.status = 'BLOCKED') IS TRUE AND d.satisfied_at IS NULL
)
SELECT j.job_id
FROM above AS a
JOIN {schema}.jobs AS j ON j.job_id = a.job_id
WHERE (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')) IS TRUE
ORDER BY j.job_id
FOR NO KEY UPDATE OF j
