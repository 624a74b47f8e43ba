-- Workflows, newest first, each with its jobs by state: some, by id, or the latest, of one name or of all. The job that is told of the end is
-- not counted among them. Where nothing but waiting jobs is left: whether one of them waits for a job of somebody else that goes on.
SELECT w.workflow_id, w.name, w.callback_job_id, w.deadline_at, w.created_at, m.jobs,
    (SELECT status FROM {schema}.jobs AS c WHERE c.job_id = w.callback_job_id) AS callback_status,
    m.jobs ? 'BLOCKED' AND NOT m.jobs ?| ARRAY['PENDING', 'SCHEDULED', 'PROCESSING'] AND EXISTS (
        SELECT FROM {schema}.jobs AS j
        JOIN {schema}.job_dependencies AS d ON d.job_id = j.job_id AND d.satisfied_at IS NULL
        JOIN {schema}.jobs AS p ON p.job_id = d.depends_on_job_id
        WHERE j.workflow_id = w.workflow_id AND j.status = 'BLOCKED' AND p.workflow_id IS DISTINCT FROM w.workflow_id
            AND p.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')
    ) AS waits_for_others
FROM (
    SELECT * FROM {schema}.workflows
    WHERE ($1::uuid[] IS NULL OR workflow_id = ANY($1)) AND ($2::text IS NULL OR name = $2)
    ORDER BY workflow_id DESC
    LIMIT $3
) AS w
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(s.status, s.jobs) AS jobs
    FROM (
        SELECT status, sum(jobs)::int AS jobs
        FROM (
            SELECT j.status, count(*) AS jobs FROM {schema}.jobs AS j WHERE j.workflow_id = w.workflow_id GROUP BY j.status
            UNION ALL
            SELECT c.status, -1 FROM {schema}.jobs AS c WHERE c.job_id = w.callback_job_id
        ) AS counted
        GROUP BY status
        HAVING sum(jobs) > 0
    ) AS s
) AS m
ORDER BY w.workflow_id DESC
