-- Bring (locked) jobs that ended badly back to life: each waits again for what is not completed, and is ready if nothing is left. Their
-- attempts and crashes start again, their fences never do.
WITH edges AS (
    UPDATE {schema}.job_dependencies AS d
    SET satisfied_at = CASE
        WHEN p.status = 'COMPLETED' THEN COALESCE(d.satisfied_at, now())
        WHEN d.on_failure = 'run' AND p.status IN ('FAILED', 'CANCELLED') AND p.job_id <> ALL($1) THEN COALESCE(d.satisfied_at, now())
    END
    FROM {schema}.jobs AS p
    WHERE d.job_id = ANY($1::uuid[]) AND p.job_id = d.depends_on_job_id
    RETURNING d.job_id, d.satisfied_at
), waits AS (
    -- one list, as in `release_dependents.sql`
    SELECT job_id, sum(edges)::int AS edges
    FROM (
        SELECT u.job_id, 0 AS edges FROM unnest($1::uuid[]) AS u(job_id)
        UNION ALL
        SELECT job_id, (satisfied_at IS NULL)::int FROM edges
    ) AS all_edges
    GROUP BY job_id
), revived AS (
    UPDATE {schema}.jobs AS j
    SET status = CASE WHEN w.edges > 0 THEN 'BLOCKED' ELSE 'PENDING' END, pending_dependencies = w.edges,
        run_at = now(), completed_at = NULL, error = NULL, cancel_requested_at = NULL, snoozes = NULL, attempts = 0, crashes = 0,
        expires_at = NULL, deadline_at = NULL, updated_at = now()
    FROM waits AS w
    WHERE j.job_id = w.job_id AND (j.status IN ('FAILED', 'CANCELLED')) IS TRUE
    RETURNING j.job_id, j.queue, j.status
), exhumed AS (
    DELETE FROM {schema}.dead_letter_queue AS d USING revived AS r WHERE d.original_job_id = r.job_id
)
SELECT job_id, queue, status FROM revived
