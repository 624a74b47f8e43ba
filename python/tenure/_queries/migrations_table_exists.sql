-- Whether anything was ever applied.
SELECT to_regclass('{schema}.schema_migrations') IS NOT NULL AS present
