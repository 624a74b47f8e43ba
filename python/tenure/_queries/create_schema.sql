-- The schema; one that is there already, with whatever is in it, stays as it is.
CREATE SCHEMA IF NOT EXISTS {schema}
