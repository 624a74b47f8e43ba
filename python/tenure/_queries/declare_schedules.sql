-- What this program's schedules are. One that is known keeps its next moment, unless it now means other moments; one that somebody
-- paused stays paused.
INSERT INTO {schema}.schedules AS s (schedule_name, queue, job_type, cron, timezone, missed, next_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
ON CONFLICT (schedule_name) DO UPDATE SET
    queue = EXCLUDED.queue, job_type = EXCLUDED.job_type, cron = EXCLUDED.cron, timezone = EXCLUDED.timezone,
    missed = EXCLUDED.missed, updated_at = now(),
    next_at = CASE
        WHEN (s.cron, s.timezone) = (EXCLUDED.cron, EXCLUDED.timezone) THEN s.next_at
        ELSE EXCLUDED.next_at
    END
WHERE (s.queue, s.job_type, s.cron, s.timezone, s.missed)
    <> (EXCLUDED.queue, EXCLUDED.job_type, EXCLUDED.cron, EXCLUDED.timezone, EXCLUDED.missed)
