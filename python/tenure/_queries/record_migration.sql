-- Enter an applied migration.
INSERT INTO {schema}.schema_migrations (name, checksum) VALUES ($1, $2)
