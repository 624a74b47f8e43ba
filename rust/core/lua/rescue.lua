-- Purpose: take back expired leases, for PostgreSQL to decide what becomes of their jobs.
-- Guarantee: a lease taken back cannot be extended any more; no other rescuer is given it within grace_ms, and one whose rescuer died
--   is given again after that.
-- KEYS: generation, processing, rescue
-- ARGV: limit, grace_ms
-- Returns: NO_GENERATION | RESCUED member*

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
redis.call('ZCARD', KEYS[3])
local limit, now = tonumber(ARGV[1]), now_ms()
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, limit)
local expired = #members
if expired < limit then
  local again = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, limit - expired)
  for _, member in ipairs(again) do members[#members + 1] = member end
end
if #members == 0 then return { 'RESCUED' } end
local entries = {}
for _, member in ipairs(members) do
  entries[#entries + 1] = now + tonumber(ARGV[2])
  entries[#entries + 1] = member
end
if expired > 0 then redis.call('ZREM', KEYS[2], unpack(members, 1, expired)) end
redis.call('ZADD', KEYS[3], unpack(entries))
return { 'RESCUED', unpack(members) }
