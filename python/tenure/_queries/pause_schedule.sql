-- Only an operator pauses; declaring anew leaves it paused.
UPDATE {schema}.schedules SET paused = true, updated_at = now() WHERE schedule_name = $1 RETURNING schedule_name
