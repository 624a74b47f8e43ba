-- Drop a schema that a command made for itself, with everything in it.
DROP SCHEMA IF EXISTS {schema} CASCADE
