-- Once more at the next look; as many as anybody could mean.
UPDATE {schema}.schedules
SET triggers = LEAST(triggers + 1, 1000), updated_at = now()
WHERE schedule_name = $1
RETURNING schedule_name
