-- Delete a batch of the jobs of a benchmark's queue, and with them their audit; $2 is older than all of them. What depends on others
-- goes first: its row names them.
DELETE FROM {schema}.jobs
WHERE job_id IN (
    SELECT job_id FROM {schema}.jobs WHERE job_id > $2::uuid AND queue = $1 ORDER BY job_id DESC LIMIT $3
)
RETURNING job_id
