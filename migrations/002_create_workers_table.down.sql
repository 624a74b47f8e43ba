DROP FUNCTION IF EXISTS {schema}.mark_stale_workers(interval);
DROP TABLE IF EXISTS {schema}.workers;
