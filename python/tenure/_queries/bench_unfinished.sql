-- Whether a job of a benchmark's queue has not ended yet; $2 is older than all of them.
SELECT EXISTS (
    SELECT FROM {schema}.jobs WHERE job_id > $2::uuid AND queue = $1 AND completed_at IS NULL
) AS unfinished
