-- What handlers wrote under a guard.
SELECT seq, job_id, fence FROM {schema}.check_effects ORDER BY seq
