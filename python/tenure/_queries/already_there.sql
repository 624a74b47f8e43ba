-- Which of these new jobs would add nothing, because a job has their id, idempotency key or unique key already: their places, from 1.
SELECT a.place::int AS place
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::int[]) WITH ORDINALITY
    AS a(job_id, idempotency_key, unique_key, window_ms, ahead, place)
WHERE EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.job_id = a.job_id)
    OR EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.idempotency_key = a.idempotency_key)
    OR EXISTS (
        SELECT FROM {schema}.jobs AS j
        WHERE j.unique_key = a.unique_key || COALESCE(
                '@' || (floor(extract(epoch FROM now()) * 1000 / a.window_ms)::bigint + a.ahead), ''
            )
            AND j.unique_key IS NOT NULL AND (
                (j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING') AND (j.unique_until <> 'started' OR j.started_at IS NULL))
                OR (j.unique_until IN ('window', 'hold') AND j.status IN ('COMPLETED', 'FAILED'))
            )
            AND NOT (j.unique_until = 'hold' AND COALESCE(j.completed_at + j.unique_hold_ms * interval '1 millisecond' <= now(), false))
    )
