-- Copy what Redis knows of the fleet: one statement whatever its size, and nothing if another leads by now. The share lock holds a
-- successor's term back until this is committed. A worker that was declared failed and is heard of again has not failed; one that
-- stopped stays stopped, and a suspected one stays suspected by the beat that was known before.
WITH own AS (
    SELECT term FROM {schema}.leaders WHERE leadership = $1 AND term = $2 FOR SHARE
), heard AS (
    SELECT h.worker_id, now() - h.age_ms * interval '1 millisecond' AS at, h.status, h.load, h.score, h.health
    FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::real[], $7::smallint[], $8::text[])
        AS h(worker_id, age_ms, status, load, score, health)
), written AS (
    UPDATE {schema}.workers AS w
    SET last_heartbeat = h.at, status = h.status, load = h.load, health_score = h.score, health = h.health::jsonb,
        stopped_at = NULL, updated_at = now()
    FROM heard AS h, own
    WHERE w.worker_id = h.worker_id AND w.status <> 'STOPPED' AND h.at > COALESCE(w.stopped_at, w.last_heartbeat)
        AND (w.status <> 'SUSPECT' OR w.health ->> 'beat' IS DISTINCT FROM h.health::jsonb ->> 'beat')
    RETURNING 1
)
SELECT (SELECT count(*) FROM own) AS leads, (SELECT count(*) FROM written) AS written
