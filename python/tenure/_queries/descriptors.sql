-- What Redis must know of those of these jobs that wait to be leased; when they must have ended only where that is their order.
-- `IS TRUE` keeps the partial indexes out of the plan: they look small to the planner, and it would join a batch with all running jobs.
SELECT job_id, queue, job_type, priority, fence, attempts, max_retries, COALESCE(timeout_ms, 0) AS timeout_ms, payload,
    payload_format, mode, (extract(epoch FROM run_at) * 1000)::bigint AS run_at_ms, status = 'PENDING' AS ready, has_dependents,
    COALESCE(tenant, '') AS tenant, COALESCE(requires, '') AS requires, COALESCE(limit_key, '') AS limit_key,
    COALESCE(cost, 1000) AS cost, CASE WHEN deadline_at IS NULL OR queue NOT IN (SELECT queue FROM {schema}.queue_policies WHERE order_by = 'deadline') THEN 0
        ELSE (extract(epoch FROM deadline_at) * 1000)::bigint END AS deadline_ms
FROM {schema}.jobs
WHERE job_id = ANY($1::uuid[]) AND (status IN ('PENDING', 'SCHEDULED')) IS TRUE
