-- Purpose: give up a leadership before its time.
-- Guarantee: nobody else's is given up.
-- KEYS: leader
-- ARGV: holder
-- Returns: RESIGNED held (1: it was this holder's)

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { 'RESIGNED', 0 } end
redis.call('DEL', KEYS[1])
return { 'RESIGNED', 1 }
