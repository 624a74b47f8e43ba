-- Purpose: say which waiting jobs of PostgreSQL are ready in this queue with another priority than they have.
-- Guarantee: reads only. A job that stands in two bands is named if one of them is wrong; one that stands nowhere is not (see missing), nor
--   one that is scheduled: where it stands says nothing of its priority before it is due.
-- KEYS: generation, high, medium, low, jobs, lane-entries
-- ARGV: jobs (id and priority each)
-- Returns: NO_GENERATION | ASTRAY id*

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
local ids, priorities = {}, {}
for at = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[at]
  priorities[#priorities + 1] = tonumber(ARGV[at + 1])
end
local wrong = {}
for key = 2, 4 do
  local scores = redis.call('ZMSCORE', KEYS[key], unpack(ids))
  for i = 1, #ids do
    if scores[i] and priority_of(tonumber(scores[i])) ~= priorities[i] then wrong[i] = true end
  end
end
if is_laned(built) then
  -- an order may say nothing of priorities: a lane's job stands there as its descriptor, which was pushed with it, says
  local entries, descriptors = redis.call('HMGET', KEYS[6], unpack(ids)), redis.call('HMGET', KEYS[5], unpack(ids))
  for i = 1, #ids do
    if entries[i] and tonumber(string.match(descriptors[i] or '', '^%d (%d) ')) ~= priorities[i] then wrong[i] = true end
  end
end
local reply = { 'ASTRAY' }
for i, id in ipairs(ids) do
  if wrong[i] then reply[#reply + 1] = id end
end
return reply
