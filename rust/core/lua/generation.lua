-- Purpose: declare the queue built from PostgreSQL.
-- Guarantee: the first declaration stands. With a policy, or with anything in lanes, the queue has lanes from the first moment.
-- KEYS: generation, lane-policy, lane-tenants, lane-holds
-- ARGV: none
-- Returns: GENERATION created

local laned = redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) > 0
return { 'GENERATION', redis.call('SETNX', KEYS[1], laned and 'laned' or now_ms()) }
