-- Those of these schedules that are due, locked until their jobs are committed. One that another process has locked is being enqueued.
SELECT schedule_name, cron, timezone, missed, next_at, triggers, NOT paused AND next_at <= now() AS due, now() AS now
FROM {schema}.schedules
WHERE schedule_name = ANY($1::text[]) AND (triggers > 0 OR (NOT paused AND next_at <= now()))
FOR UPDATE SKIP LOCKED
