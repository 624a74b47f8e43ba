-- Record the starts of a batch of leases: raise each fence by compare-and-set and write the attempt's row. A lease whose place is not
-- returned was taken by somebody else, or its job is over, or its time is (`expire.sql`): it must not run. Places, not rows: one number a
-- job is sent and read; deadlines, in the places' order, only where a job has one.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS a(job_id, fence, execution_id, place)
), started AS (
    UPDATE {schema}.jobs AS j
    SET status = 'PROCESSING', fence = a.fence, attempts = j.attempts + 1, worker_id = $4, started_at = now(),
        updated_at = now()
    FROM asked AS a
    WHERE j.job_id = a.job_id AND j.fence = a.fence - 1 AND (j.status IN ('PENDING', 'SCHEDULED')) IS TRUE
        AND ((CASE WHEN j.started_at IS NULL THEN j.expires_at ELSE j.deadline_at END) > now()) IS NOT FALSE
    RETURNING j.job_id, j.fence, j.attempts, j.deadline_at, a.execution_id, a.place
), audited AS (
    INSERT INTO {schema}.job_executions (execution_id, job_id, worker_id, fence, attempt, status, started_at)
    SELECT execution_id, job_id, $4, fence, attempts, 'PROCESSING', now() FROM started
)
SELECT array_agg(place::int) AS places, now() AS now, CASE WHEN count(deadline_at) > 0 THEN array_agg(deadline_at) END AS deadlines
FROM started
