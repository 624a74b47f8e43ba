-- Which of these expired leases a rescue has passed over because somebody held their jobs' rows.
SELECT j.job_id, x.fence
FROM unnest($1::uuid[], $2::bigint[]) AS x(job_id, fence)
JOIN {schema}.jobs AS j ON j.job_id = x.job_id
WHERE (j.fence = x.fence AND j.status = 'PROCESSING') OR (j.fence = x.fence - 1 AND j.status IN ('PENDING', 'SCHEDULED'))
