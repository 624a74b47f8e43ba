-- Declare workers failed whose heartbeats stopped.
SELECT * FROM {schema}.mark_stale_workers($1::interval)
