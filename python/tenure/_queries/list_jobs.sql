-- Jobs that match, newest first: ids rise with time, so the primary key has the order.
SELECT *
FROM {schema}.jobs
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR queue = $2) AND ($3::text IS NULL OR job_type = $3)
    AND ($4::text IS NULL OR $4 = ANY(tags))
ORDER BY job_id DESC
LIMIT $5
