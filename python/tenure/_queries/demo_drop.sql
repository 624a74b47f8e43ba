-- Drop the demo's own schema, with everything in it.
DROP SCHEMA IF EXISTS {schema} CASCADE
