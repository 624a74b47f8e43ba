-- All schedules that a worker has declared.
SELECT schedule_name, queue, job_type, cron, timezone, missed, paused, next_at, last_at
FROM {schema}.schedules
ORDER BY schedule_name
