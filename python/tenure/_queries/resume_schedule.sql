-- On from a moment that is to come.
UPDATE {schema}.schedules SET paused = false, next_at = $2, updated_at = now() WHERE schedule_name = $1
