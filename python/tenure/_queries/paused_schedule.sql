-- What resuming must know, locked meanwhile.
SELECT cron, timezone, next_at, paused, now() AS now FROM {schema}.schedules WHERE schedule_name = $1 FOR UPDATE
