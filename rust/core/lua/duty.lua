-- Purpose: take or keep the maintenance duty of a queue.
-- Guarantee: one holder at a time by Redis' clock; a holder that was paused past its time may not know it yet.
-- KEYS: duty
-- ARGV: holder, ttl_ms
-- Returns: DUTY wait_ms (0: it is this holder's)

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { 'DUTY', math.max(1, redis.call('PTTL', KEYS[1])) } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'DUTY', 0 }
