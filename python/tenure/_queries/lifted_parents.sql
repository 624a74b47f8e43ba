-- What these jobs, which wait no more, waited for and may have lifted.
SELECT DISTINCT p.job_id
FROM {schema}.job_dependencies AS d
JOIN {schema}.jobs AS p ON p.job_id = d.depends_on_job_id
WHERE d.job_id = ANY($1::uuid[]) AND d.satisfied_at IS NULL AND p.own_priority IS NOT NULL
    AND (p.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')) IS TRUE
