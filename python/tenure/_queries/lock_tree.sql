-- Lock jobs with all that wait for them, or all jobs of a workflow, and what they depend on: an end of one of these either is there for the
-- next statement, or comes after it. Returns which of them ended badly.
WITH RECURSIVE tree(job_id) AS (
    SELECT * FROM unnest($1::uuid[]) AS u(job_id)
    UNION
    SELECT d.job_id FROM tree AS t JOIN {schema}.job_dependencies AS d ON d.depends_on_job_id = t.job_id
), chosen AS (
    SELECT job_id FROM tree
    UNION
    SELECT job_id FROM {schema}.jobs WHERE workflow_id = $2
), touched AS (
    SELECT job_id, bool_or(chosen) AS chosen
    FROM (
        SELECT job_id, true AS chosen FROM chosen
        UNION ALL
        SELECT d.depends_on_job_id, false FROM chosen AS c JOIN {schema}.job_dependencies AS d ON d.job_id = c.job_id
    ) AS t
    GROUP BY job_id
), locked AS (
    SELECT j.job_id, j.status, t.chosen
    FROM touched AS t
    JOIN {schema}.jobs AS j ON j.job_id = t.job_id
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
)
SELECT job_id, status FROM locked WHERE chosen AND status IN ('FAILED', 'CANCELLED')
