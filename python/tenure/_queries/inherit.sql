-- Compute anew what priority these (locked) jobs have: their own, or the highest of the jobs that wait for them. Those that wait and are among
-- them are computed with them; all others have theirs. Returns those that changed.
WITH RECURSIVE asked AS (
    SELECT j.job_id, COALESCE(j.own_priority, j.priority)::int AS own
    FROM unnest($1::uuid[]) AS u(job_id)
    JOIN {schema}.jobs AS j ON j.job_id = u.job_id
), found(job_id, priority) AS (
    SELECT a.job_id, GREATEST(a.own, (
        SELECT max(c.priority)
        FROM {schema}.job_dependencies AS d
        JOIN {schema}.jobs AS c ON c.job_id = d.job_id
        WHERE d.depends_on_job_id = a.job_id AND d.satisfied_at IS NULL AND (c.status = 'BLOCKED') IS TRUE AND c.job_id <> ALL($1)
    )::int)
    FROM asked AS a
    UNION
    SELECT d.depends_on_job_id, {schema}.inherited_priority(j.job_id, f.priority)
    FROM found AS f
    JOIN {schema}.jobs AS j ON j.job_id = f.job_id
    JOIN {schema}.job_dependencies AS d ON d.job_id = f.job_id
    WHERE (j.status = 'BLOCKED') IS TRUE AND d.satisfied_at IS NULL AND d.depends_on_job_id = ANY($1)
), highest AS (
    SELECT job_id, max(priority) AS priority FROM found GROUP BY job_id
), computed AS (
    SELECT j.job_id, COALESCE(j.own_priority, j.priority) AS own,
        GREATEST(COALESCE(j.own_priority, j.priority), {schema}.inherited_priority(j.job_id, h.priority)) AS priority
    FROM highest AS h
    JOIN {schema}.jobs AS j ON j.job_id = h.job_id
)
UPDATE {schema}.jobs AS j
SET priority = c.priority, own_priority = CASE WHEN c.priority > c.own THEN c.own END, updated_at = now()
FROM computed AS c
WHERE j.job_id = c.job_id AND (j.priority <> c.priority OR j.own_priority IS DISTINCT FROM CASE WHEN c.priority > c.own THEN c.own END)
RETURNING j.job_id
