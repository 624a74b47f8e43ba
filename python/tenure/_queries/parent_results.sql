-- What jobs returned, for those that depend on them.
SELECT job_id, status, result, result_format FROM {schema}.jobs WHERE job_id = ANY($1::uuid[])
