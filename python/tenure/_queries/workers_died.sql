-- Call workers failed whose process has ended, by the word of whoever reaped it; those that said that they stopped have.
UPDATE {schema}.workers
SET status = 'FAILED', stopped_at = now(), updated_at = now()
WHERE worker_id = ANY($1::uuid[]) AND status NOT IN ('FAILED', 'STOPPED')
RETURNING worker_id::text
