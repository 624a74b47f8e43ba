-- Purpose: take or keep the maintenance duty of a queue.
-- Guarantee: one holder at a time by Redis' clock; a holder that was paused past its time may not know it yet.
-- KEYS: duty
-- ARGV: holder, ttl_ms
-- Returns: DUTY held

local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return { 'DUTY', redis.call('PEXPIRE', KEYS[1], ARGV[2]) } end
if holder then return { 'DUTY', 0 } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'DUTY', 1 }
