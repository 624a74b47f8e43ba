-- Take out a migration that was undone.
DELETE FROM {schema}.schema_migrations WHERE name = $1
