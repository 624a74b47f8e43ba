-- Hold the job's row until the caller's transaction ends, if its lease is still this one: nobody can settle or rescue it meanwhile.
SELECT fence FROM {schema}.jobs WHERE job_id = $1 AND fence = $2 AND status = 'PROCESSING' FOR SHARE
