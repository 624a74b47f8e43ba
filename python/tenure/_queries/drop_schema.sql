-- Drop a schema of tenure's own making, with everything in it.
DROP SCHEMA IF EXISTS {schema} CASCADE
