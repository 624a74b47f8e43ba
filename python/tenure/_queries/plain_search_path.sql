-- For this transaction, every name outside the system's own is shown with its schema.
SELECT set_config('search_path', 'pg_catalog', true)
