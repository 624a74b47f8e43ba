-- How many of each kind of object the tables and functions of tenure are.
SELECT
    (SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2::text[]))::int AS tables,
    (SELECT count(*) FROM pg_indexes WHERE schemaname = $1 AND tablename = ANY($2::text[]))::int AS indexes,
    (
        SELECT count(*) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = $1 AND p.proname = ANY($3::text[])
    )::int AS functions,
    (
        SELECT count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND t.tgname = 'trigger_jobs_updated_at' AND NOT t.tgisinternal
    )::int AS triggers
