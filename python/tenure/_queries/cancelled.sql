-- Which of these jobs are cancelled. `IS TRUE` keeps the partial indexes out of the plan, as in `descriptors.sql`.
SELECT job_id FROM {schema}.jobs WHERE job_id = ANY($1::uuid[]) AND (status = 'CANCELLED') IS TRUE
