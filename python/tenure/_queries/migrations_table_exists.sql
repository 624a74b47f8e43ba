-- Whether anything was ever applied, and whether the table of that name is the runner's: other tools call theirs the same.
SELECT to_regclass('{schema}.schema_migrations') IS NOT NULL AS present,
    (
        SELECT count(*) = 3 FROM pg_attribute
        WHERE attrelid = to_regclass('{schema}.schema_migrations') AND attname IN ('name', 'checksum', 'applied_at')
            AND NOT attisdropped
    ) AS ours
