-- Settle a batch of completed attempts, guarded by the fence. A job that others depend on is passed over unless $6: it
-- needs a transaction in which its dependents are released by a statement with a newer snapshot. Returns the places of those settled.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
WITH verdict AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[], $5::float8[]) WITH ORDINALITY
        AS v(job_id, fence, result, result_format, duration_ms, place)
), settled AS (
    UPDATE {schema}.jobs AS j
    SET status = 'COMPLETED', result = v.result, result_format = v.result_format, error = NULL,
        completed_at = now(), updated_at = now()
    FROM verdict AS v
    WHERE j.job_id = v.job_id AND j.fence = v.fence AND (j.status = 'PROCESSING') IS TRUE AND ($6 OR NOT j.has_dependents)
    RETURNING j.job_id, j.fence, v.duration_ms, v.place
), audited AS (
    UPDATE {schema}.job_executions AS e
    SET status = 'COMPLETED', completed_at = now(), duration_ms = s.duration_ms
    FROM settled AS s
    WHERE e.job_id = s.job_id AND e.fence = s.fence
)
SELECT array_agg(place::int) AS places FROM settled
