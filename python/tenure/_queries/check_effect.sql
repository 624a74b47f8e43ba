-- A handler's own write, in a transaction that its lease guards.
INSERT INTO {schema}.check_effects (job_id, fence) VALUES ($1, $2)
