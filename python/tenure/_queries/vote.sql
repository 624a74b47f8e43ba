-- Say which workers an observer suspects, instead of whatever it said before; nothing if another holds its seat by now. Whom the
-- registry knows as ended, or not at all, needs no vote: those that it still takes for living are returned.
WITH own AS (
    SELECT leadership, term FROM {schema}.leaders WHERE leadership = $1 AND term = $2 FOR SHARE
), vote AS (
    SELECT v.worker_id, v.phi, v.dead
    FROM unnest($3::uuid[], $4::real[], $5::boolean[]) AS v(worker_id, phi, dead)
    JOIN {schema}.workers AS w ON w.worker_id = v.worker_id AND w.status NOT IN ('FAILED', 'STOPPED')
), withdrawn AS (
    DELETE FROM {schema}.suspicions AS s USING own
    WHERE s.observer = own.leadership AND s.worker_id NOT IN (SELECT worker_id FROM vote)
), told AS (
    INSERT INTO {schema}.suspicions AS s (worker_id, observer, term, phi, dead)
    SELECT vote.worker_id, own.leadership, own.term, vote.phi, vote.dead FROM vote, own
    ON CONFLICT (worker_id, observer) DO UPDATE
    SET term = EXCLUDED.term, phi = EXCLUDED.phi, dead = EXCLUDED.dead, told_at = now(),
        since = CASE WHEN s.term = EXCLUDED.term THEN s.since ELSE now() END
)
SELECT (SELECT count(*) FROM own) AS leads, ARRAY(SELECT worker_id::text FROM vote) AS living
