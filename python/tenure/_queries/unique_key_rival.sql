-- The unique key of a job, and who else has it.
SELECT own.unique_key, other.job_id AS holder
FROM {schema}.jobs AS own
LEFT JOIN {schema}.jobs AS other ON other.unique_key = own.unique_key AND other.job_id <> own.job_id
    AND other.unique_key IS NOT NULL AND (
        (other.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING') AND (other.unique_until <> 'started' OR other.started_at IS NULL))
        OR (other.unique_until IN ('window', 'hold') AND other.status IN ('COMPLETED', 'FAILED'))
    )
WHERE own.job_id = $1
