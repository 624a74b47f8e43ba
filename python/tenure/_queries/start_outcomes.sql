-- Which of these starts were made, by place: asked after one whose answer was lost. The id of the attempt's row tells one's own from
-- another's: a lease that Redis forgot may have been given again, with the same fence, and even to the same worker.
SELECT array_agg(u.place::int) AS places, now() AS now,
    CASE WHEN count(j.deadline_at) > 0 THEN array_agg(j.deadline_at) END AS deadlines
FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS u(job_id, fence, execution_id, place)
JOIN {schema}.jobs AS j ON j.job_id = u.job_id AND j.fence = u.fence
JOIN {schema}.job_executions AS e ON e.job_id = u.job_id AND e.fence = u.fence AND e.execution_id = u.execution_id
WHERE j.status = 'PROCESSING'
