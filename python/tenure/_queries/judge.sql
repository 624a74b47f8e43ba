-- Call workers suspect that one observer suspects, and failed those whose death $3 of them confirm by votes younger than $4; only such
-- as the leader itself finds late ($5). Nothing if another leads by now.
WITH own AS (
    SELECT term FROM {schema}.leaders WHERE leadership = $1 AND term = $2 FOR SHARE
), votes AS (
    SELECT worker_id, count(*) FILTER (WHERE dead) >= $3 AS failed
    FROM {schema}.suspicions WHERE told_at > now() - $4::interval AND worker_id = ANY($5::uuid[])
    GROUP BY worker_id
), judged AS (
    UPDATE {schema}.workers AS w
    SET status = CASE WHEN v.failed THEN 'FAILED' ELSE 'SUSPECT' END,
        stopped_at = CASE WHEN v.failed THEN now() END, updated_at = now()
    FROM votes AS v, own
    WHERE w.worker_id = v.worker_id AND w.status NOT IN ('FAILED', 'STOPPED') AND (v.failed OR w.status <> 'SUSPECT')
    RETURNING w.worker_id::text, w.status, w.queues
), settled AS (
    DELETE FROM {schema}.suspicions AS s USING own
    WHERE s.told_at <= now() - $4::interval
        OR s.worker_id IN (SELECT worker_id::uuid FROM judged WHERE status = 'FAILED')
)
SELECT (SELECT count(*) FROM own) AS leads, j.worker_id, j.status, j.queues
FROM (VALUES (1)) AS one LEFT JOIN judged AS j ON true
