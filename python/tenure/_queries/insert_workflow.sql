-- A workflow's own row, which its jobs name; sent again after an unknown outcome it changes nothing.
INSERT INTO {schema}.workflows (workflow_id, name, jobs, callback_job_id, deadline_at)
SELECT $1::uuid, $2::text, $3::int, $4::uuid, LEAST($5::timestamptz, now() + $6::bigint * interval '1 millisecond')
ON CONFLICT (workflow_id) DO NOTHING
