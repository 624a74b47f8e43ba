-- The edges of a batch of jobs; an edge whose parent has ended well is satisfied from the start.
INSERT INTO {schema}.job_dependencies (job_id, depends_on_job_id, on_failure, satisfied_at)
SELECT u.job_id, u.depends_on_job_id, u.on_failure, CASE WHEN u.satisfied THEN now() END
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[]) AS u(job_id, depends_on_job_id, on_failure, satisfied)
ON CONFLICT (job_id, depends_on_job_id) DO NOTHING
