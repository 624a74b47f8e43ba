-- Forget when it was.
DELETE FROM {schema}.schedules WHERE schedule_name = $1 RETURNING schedule_name
