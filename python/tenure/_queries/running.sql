-- Those of these jobs that run, as Redis must know them to count what they hold; without their payloads.
SELECT job_id, job_type, priority, fence, attempts, max_retries, COALESCE(timeout_ms, 0) AS timeout_ms, ''::bytea AS payload,
    payload_format, mode, (extract(epoch FROM run_at) * 1000)::bigint AS run_at_ms, false AS ready,
    COALESCE(tenant, '') AS tenant, COALESCE(requires, '') AS requires, COALESCE(limit_key, '') AS limit_key,
    COALESCE(cost, 1000) AS cost
FROM {schema}.jobs
WHERE job_id = ANY($1::uuid[]) AND (status = 'PROCESSING') IS TRUE
