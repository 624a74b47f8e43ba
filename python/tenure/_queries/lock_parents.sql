-- Lock the jobs that others are about to depend on, in one order for everybody. A parent that settles meanwhile waits, and
-- finds its new dependents when it goes on. What these wait for themselves is locked with them where one of them may have to be lifted: $2 is
-- the highest priority of those that will wait, or it is that of a parent, which they inherit.
WITH RECURSIVE named AS (
    SELECT job_id, COALESCE(own_priority, priority) AS own_priority FROM {schema}.jobs WHERE job_id = ANY($1::uuid[])
), above(job_id) AS (
    SELECT job_id FROM named
    UNION
    SELECT d.depends_on_job_id
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = a.job_id
    WHERE (j.status = 'BLOCKED') IS TRUE AND d.satisfied_at IS NULL
        AND COALESCE(j.own_priority, j.priority) < GREATEST($2::int, (SELECT max(own_priority) FROM named))
), locked AS (
    SELECT j.job_id, j.status, j.has_dependents, j.priority, COALESCE(j.own_priority, j.priority) AS own_priority
    FROM above AS a
    JOIN {schema}.jobs AS j ON j.job_id = a.job_id
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
)
SELECT * FROM locked WHERE job_id = ANY($1)
