-- Lock jobs with all that wait for them, or all jobs of a workflow, and all that they may wait for: an end of one of these either is there for the
-- next statement, or comes after it. Returns which of them ended badly.
WITH RECURSIVE tree(job_id) AS (
    SELECT * FROM unnest($1::uuid[]) AS u(job_id)
    UNION
    SELECT d.job_id FROM tree AS t JOIN {schema}.job_dependencies AS d ON d.depends_on_job_id = t.job_id
), chosen AS (
    SELECT job_id FROM tree
    UNION
    SELECT job_id FROM {schema}.jobs WHERE workflow_id = $2
), above(job_id) AS (
    SELECT job_id FROM chosen
    UNION
    SELECT d.depends_on_job_id
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = a.job_id
    WHERE j.status <> 'COMPLETED'
), locked AS (
    SELECT j.job_id, j.status
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
)
SELECT job_id, status FROM locked WHERE status IN ('FAILED', 'CANCELLED') AND job_id IN (SELECT job_id FROM chosen)
