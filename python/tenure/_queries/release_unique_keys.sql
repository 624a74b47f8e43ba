-- Take their keys away from jobs whose hold after the end is over. The hold itself stays to be seen.
UPDATE {schema}.jobs
SET unique_until = 'ended', unique_hold_ms = NULL, updated_at = now()
WHERE job_id = ANY($1::uuid[]) AND unique_until = 'hold'
    AND completed_at + unique_hold_ms * interval '1 millisecond' <= now()
