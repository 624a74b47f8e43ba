-- One snapshot: how many jobs were ever inserted, and by state how many there are and how many the trigger's changes amount to.
WITH moves AS (
    SELECT new_status AS status, 1 AS n FROM {schema}.check_changes WHERE new_status IS NOT NULL
    UNION ALL
    SELECT old_status, -1 FROM {schema}.check_changes WHERE old_status IS NOT NULL
), witnessed AS (
    SELECT status, sum(n) AS jobs FROM moves GROUP BY status
), counted AS (
    SELECT status, count(*) AS jobs FROM {schema}.jobs GROUP BY status
)
SELECT COALESCE(w.status, c.status) AS status, COALESCE(w.jobs, 0)::bigint AS witnessed, COALESCE(c.jobs, 0) AS counted,
    (SELECT count(*) FROM {schema}.check_changes WHERE old_status IS NULL) AS inserted
FROM witnessed AS w FULL JOIN counted AS c ON c.status = w.status
