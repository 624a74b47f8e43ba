-- Purpose: declare the queue built from PostgreSQL.
-- Guarantee: the first declaration stands.
-- KEYS: generation
-- ARGV: none
-- Returns: GENERATION created

return { 'GENERATION', redis.call('SETNX', KEYS[1], now_ms()) }
