-- Which of these leases this worker has started: asked after a start whose answer was lost.
SELECT u.job_id, u.fence
FROM unnest($1::uuid[], $2::bigint[]) AS u(job_id, fence)
JOIN {schema}.jobs AS j ON j.job_id = u.job_id AND j.fence = u.fence
WHERE j.worker_id = $3 AND j.status = 'PROCESSING'
