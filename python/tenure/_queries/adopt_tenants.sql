-- Note a queue that has jobs of tenants while some tenants have weights, and for good: from then on it has a policy. Others, whose leases
-- would cost more for it, have none.
INSERT INTO {schema}.queue_policies (queue)
SELECT $1
WHERE EXISTS (SELECT FROM {schema}.tenants WHERE weight <> 1) AND EXISTS (
    SELECT FROM {schema}.jobs AS j WHERE j.queue = $1 AND j.tenant IS NOT NULL AND j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED')
) AND NOT EXISTS (SELECT FROM {schema}.queue_policies WHERE queue = $1)
ON CONFLICT (queue) DO NOTHING
