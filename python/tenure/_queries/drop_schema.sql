-- Drop an empty schema; one that something came into meanwhile is refused.
DROP SCHEMA {schema} RESTRICT
