-- Hold the rows of some running and some waiting jobs until the transaction ends; skipping those that others hold.
SELECT job_id FROM {schema}.jobs WHERE status IN ('PROCESSING', 'PENDING', 'SCHEDULED') ORDER BY status DESC, job_id LIMIT $1
FOR UPDATE SKIP LOCKED
