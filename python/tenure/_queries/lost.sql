-- The recorded attempts of a rescue are lost. Not part of the rescue itself: an attempt whose start was committed while the rescue
-- ran is not in that statement's snapshot, and would stay open for ever.
UPDATE {schema}.job_executions AS e
SET status = 'LOST', completed_at = now(), error = 'the worker was lost'
FROM unnest($1::uuid[], $2::bigint[]) AS x(job_id, fence)
WHERE e.job_id = x.job_id AND e.fence = x.fence AND e.status = 'PROCESSING'
