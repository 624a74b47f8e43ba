-- How many jobs of a benchmark's queue are in each state; $2 is older than all of them, so that the primary key finds them.
SELECT status, count(*) AS jobs FROM {schema}.jobs WHERE job_id > $2::uuid AND queue = $1 GROUP BY status
