-- The latest progress of a batch of running attempts, guarded by the fence; a job not returned has lost its lease.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
UPDATE {schema}.jobs AS j
SET progress = p.fraction, progress_note = p.note, updated_at = now()
FROM unnest($1::uuid[], $2::bigint[], $3::real[], $4::text[]) AS p(job_id, fence, fraction, note)
WHERE j.job_id = p.job_id AND j.fence = p.fence AND (j.status = 'PROCESSING') IS TRUE
RETURNING j.job_id, j.fence
