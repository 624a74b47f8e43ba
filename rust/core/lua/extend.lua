-- Purpose: give live leases a new deadline; say which are gone and which were asked to stop.
-- Guarantee: an expired lease is never revived, whether or not it was rescued yet.
-- KEYS: generation, processing, cancelled
-- ARGV: lease_ms, members
-- Returns: NO_GENERATION | EXTENDED lost cancelled

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
local members = { unpack(ARGV, 2) }
local deadlines = redis.call('ZMSCORE', KEYS[2], unpack(members))
local now = now_ms()
local deadline, alive, lost, cancelled = now + tonumber(ARGV[1]), {}, {}, {}
for i, member in ipairs(members) do
  if deadlines[i] and tonumber(deadlines[i]) > now then
    alive[#alive + 1] = deadline
    alive[#alive + 1] = member
  else
    lost[#lost + 1] = member
  end
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  local asked = redis.call('SMISMEMBER', KEYS[3], unpack(members))
  for i, member in ipairs(members) do
    if asked[i] == 1 then cancelled[#cancelled + 1] = member end
  end
end
if #alive > 0 then redis.call('ZADD', KEYS[2], 'XX', unpack(alive)) end
return { 'EXTENDED', lost, cancelled }
