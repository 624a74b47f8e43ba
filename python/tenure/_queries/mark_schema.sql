-- The mark by which the way down to 0 knows a schema of its own.
COMMENT ON SCHEMA {schema} IS 'made by tenure migrate'
