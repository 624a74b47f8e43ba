-- Purpose: enter workers in the roster as heard of now.
-- Guarantee: by Redis' clock. Who was not heard of for `keep_ms` is forgotten, and so is a roster in which nobody is entered any more.
-- KEYS: roster
-- ARGV: keep_ms, worker_ids
-- Returns: PRESENT now_ms

local now, keep, entries = now_ms(), tonumber(ARGV[1]), {}
for i = 2, #ARGV do
  entries[#entries + 1] = now
  entries[#entries + 1] = ARGV[i]
end
redis.call('ZADD', KEYS[1], unpack(entries))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - keep)
redis.call('PEXPIRE', KEYS[1], keep)
return { 'PRESENT', now }
