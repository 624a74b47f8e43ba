-- Seconds until the next of these schedules is due; NULL where none ever is.
SELECT extract(epoch FROM min(CASE WHEN triggers > 0 THEN now() ELSE next_at END) - now())::float8 AS seconds
FROM {schema}.schedules
WHERE schedule_name = ANY($1::text[]) AND (triggers > 0 OR NOT paused)
