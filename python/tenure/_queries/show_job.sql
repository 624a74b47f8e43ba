-- One job's row.
SELECT * FROM {schema}.jobs WHERE job_id = $1
