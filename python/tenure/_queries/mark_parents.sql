-- Say of these (locked) jobs that others depend on them: settling them then looks for dependents.
UPDATE {schema}.jobs SET has_dependents = true, updated_at = now() WHERE job_id = ANY($1::uuid[])
