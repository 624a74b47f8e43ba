-- Which of these leases this worker has started, by place: asked after a start whose answer was lost.
SELECT array_agg(u.place::int) AS places
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS u(job_id, fence, place)
JOIN {schema}.jobs AS j ON j.job_id = u.job_id AND j.fence = u.fence
WHERE j.worker_id = $3 AND j.status = 'PROCESSING'
