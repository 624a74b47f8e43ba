-- Declare workers failed whose heartbeats stopped, unless another leads by now. The function's argument comes from the term's row,
-- so that it is not called before there is one.
WITH own AS (
    SELECT term FROM {schema}.leaders WHERE leadership = $1 AND term = $2 FOR SHARE
), failed AS (
    SELECT m.worker_id
    FROM own AS l CROSS JOIN LATERAL {schema}.mark_stale_workers(CASE WHEN l.term > 0 THEN $3::interval END) AS m
)
SELECT (SELECT count(*) FROM own) AS leads, ARRAY(SELECT worker_id FROM failed) AS failed
