-- What the trigger saw, in order.
SELECT seq, extract(epoch FROM at)::float8 AS at, job_id, old_status, new_status, old_fence, new_fence, attempts, delay_seconds
FROM {schema}.check_changes
ORDER BY seq
