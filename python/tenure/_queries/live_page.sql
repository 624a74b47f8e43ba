-- One page of a queue's live jobs, in the order of their ids: what Redis must know of them.
SELECT job_id, fence, status
FROM {schema}.jobs
WHERE queue = $1 AND job_id > $2 AND status IN ('PENDING', 'SCHEDULED', 'PROCESSING')
ORDER BY job_id
LIMIT $3
