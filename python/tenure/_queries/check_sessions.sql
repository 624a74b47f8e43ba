-- Sessions whose last statement named this schema: how many there are, and how many sit in a transaction.
SELECT count(*) AS sessions, count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction
FROM pg_stat_activity
WHERE query LIKE '%{schema}.%' AND pid <> pg_backend_pid()
