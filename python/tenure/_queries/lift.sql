-- Lift jobs to the priority of one that waits for them, bounded by that one's tenant ($3), and all that they wait for themselves. What is high enough by itself needs no lift,
-- and no look further. They are locked already, by `lock_parents.sql`, so that nobody lowers one before the waiting job can be seen.
-- Returns those lifted.
WITH RECURSIVE raised(job_id, priority) AS (
    SELECT u.job_id, CASE WHEN u.tenant IS NULL THEN u.priority ELSE {schema}.tenant_priority(u.tenant, u.priority::smallint) END
    FROM unnest($1::uuid[], $2::int[], $3::text[]) AS u(job_id, priority, tenant)
    UNION
    SELECT d.depends_on_job_id, {schema}.inherited_priority(j.job_id, r.priority)
    FROM raised AS r
    JOIN {schema}.jobs AS j ON j.job_id = r.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = r.job_id
    WHERE (j.status = 'BLOCKED') IS TRUE AND d.satisfied_at IS NULL AND COALESCE(j.own_priority, j.priority) < r.priority
), locked AS (
    SELECT j.job_id, r.priority
    FROM (SELECT job_id, max(priority) AS priority FROM raised GROUP BY job_id) AS r
    JOIN {schema}.jobs AS j ON j.job_id = r.job_id
    WHERE (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')) IS TRUE
    ORDER BY j.job_id
    FOR NO KEY UPDATE OF j
)
UPDATE {schema}.jobs AS j
SET own_priority = COALESCE(j.own_priority, j.priority), priority = {schema}.inherited_priority(j.job_id, l.priority), updated_at = now()
FROM locked AS l
WHERE j.job_id = l.job_id AND {schema}.inherited_priority(j.job_id, l.priority) > j.priority
RETURNING j.job_id
