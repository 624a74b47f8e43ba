-- One page of a queue's live jobs, in the order of their ids, and whether each is older than $4: a younger one's own push may
-- still be on its way. Whether it has attributes, for those that run: what they hold is counted by these.
SELECT job_id, fence, status, priority, has_dependents, num_nonnulls(tenant, requires, limit_key, cost) > 0 AS attributed,
    updated_at <= now() - $4::interval AS settled_down
FROM {schema}.jobs
WHERE queue = $1 AND job_id > $2 AND status IN ('PENDING', 'SCHEDULED', 'PROCESSING')
ORDER BY job_id
LIMIT $3
