-- What has been applied, in order.
SELECT name, checksum, applied_at FROM {schema}.schema_migrations ORDER BY name
