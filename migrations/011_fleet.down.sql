DROP TABLE IF EXISTS {schema}.leaders;
ALTER TABLE {schema}.workers DROP COLUMN IF EXISTS load, DROP COLUMN IF EXISTS health_score;
