-- The jobs of these schedules are enqueued in this transaction: on to their next moments.
UPDATE {schema}.schedules AS s
SET next_at = v.next_at, last_at = COALESCE(v.last_at, s.last_at), triggers = 0, updated_at = now()
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS v(schedule_name, next_at, last_at)
WHERE s.schedule_name = v.schedule_name
