-- Cut every session whose last statement named this schema, less the checker's own; how many.
SELECT count(pg_terminate_backend(pid)) AS cut
FROM pg_stat_activity
WHERE query LIKE '%{schema}.%' AND query NOT LIKE '%{schema}.check_%' AND datname = current_database()
    AND pid <> pg_backend_pid()
