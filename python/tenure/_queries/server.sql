-- What is known of the server before it is trusted.
SELECT current_setting('server_version_num')::int AS version_num, current_setting('server_version') AS version,
    current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('max_connections')::int AS max_connections,
    (SELECT count(*) FROM pg_stat_activity)::int AS connections,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS time_ms,
    to_regclass('{schema}.jobs') IS NOT NULL AND to_regclass('{schema}.schema_migrations') IS NOT NULL AS migrated
