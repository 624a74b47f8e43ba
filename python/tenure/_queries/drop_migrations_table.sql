-- Drop the runner's own bookkeeping, after the last migration was undone.
DROP TABLE {schema}.schema_migrations
