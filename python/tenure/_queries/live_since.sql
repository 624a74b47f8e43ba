-- A queue's jobs that changed lately and wait or run: what a lost push can have missed. Those younger than $3 are left out:
-- their own push may still be on its way. So are those with an id before $5, which costs nothing where it is the first of all.
SELECT job_id, fence, status, priority, has_dependents, num_nonnulls(tenant, requires, limit_key, cost) > 0 AS attributed
FROM {schema}.jobs
WHERE queue = $1 AND job_id >= $5 AND status IN ('PENDING', 'SCHEDULED', 'PROCESSING') AND updated_at > now() - $2::interval
    AND updated_at <= now() - $3::interval
LIMIT $4
