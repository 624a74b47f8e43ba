-- Start and end of a batch of completed attempts in one write, for queues that record starts behind the run. The fence is
-- raised by the same compare-and-set as at a recorded start, so of two runs of one lease only one is ever recorded. Returns the places of
-- those settled.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
WITH verdict AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[], $5::float8[], $6::uuid[]) WITH ORDINALITY
        AS v(job_id, fence, result, result_format, duration_ms, execution_id, place)
), settled AS (
    UPDATE {schema}.jobs AS j
    SET status = 'COMPLETED', fence = v.fence, attempts = j.attempts + 1, worker_id = $7, result = v.result,
        result_format = v.result_format, error = NULL, started_at = now() - v.duration_ms * interval '1 millisecond',
        completed_at = now(), updated_at = now()
    FROM verdict AS v
    WHERE j.job_id = v.job_id AND j.fence = v.fence - 1 AND (j.status IN ('PENDING', 'SCHEDULED')) IS TRUE
        AND ($8 OR NOT j.has_dependents)
    RETURNING j.job_id, j.fence, j.attempts, j.started_at, v.duration_ms, v.execution_id, v.place
), audited AS (
    INSERT INTO {schema}.job_executions
        (execution_id, job_id, worker_id, fence, attempt, status, started_at, completed_at, duration_ms)
    SELECT execution_id, job_id, $7, fence, attempts, 'COMPLETED', started_at, now(), duration_ms FROM settled
)
SELECT array_agg(place::int) AS places FROM settled
