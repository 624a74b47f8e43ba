-- Purpose: say which waiting jobs of PostgreSQL this queue does not have, neither queued nor leased nor being rescued.
-- Guarantee: reads only.
-- KEYS: generation, high, medium, low, scheduled, processing, rescue, lane-entries
-- ARGV: jobs (id and the member of its next lease each)
-- Returns: NO_GENERATION | MISSING id*

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
local ids, members = {}, {}
for at = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[at]
  members[#members + 1] = ARGV[at + 1]
end
local found = is_laned(built) and redis.call('HMGET', KEYS[8], unpack(ids)) or {}
for key = 2, 7 do
  local scores = redis.call('ZMSCORE', KEYS[key], unpack(key < 6 and ids or members))
  for i = 1, #ids do found[i] = found[i] or scores[i] end
end
local reply = { 'MISSING' }
for i, id in ipairs(ids) do
  if not found[i] then reply[#reply + 1] = id end
end
return reply
