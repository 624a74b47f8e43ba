-- Purpose: take up to `want` ready jobs, best priority first, first in first out inside a priority.
-- Guarantee: a job is leased to one worker: an entry whose lease is live already is dropped as a double, one without descriptor is
--   dropped for the reconciler to restore, and one whose lease was given before and is being rescued is dropped for the rescuer, who
--   would otherwise take the new one back too. Of a paused queue nothing is leased. Costs O(log n) per job whatever the queue's length. A worker is entered as idle exactly if
--   the queue ran out and is not paused. Due jobs that it made ready and does not take wake idle workers: nobody else will.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-idle
-- ARGV: want, lease_ms, worker_id, promote_limit, queue, inbox_prefix, offers
-- Returns: NO_GENERATION | LANED | LEASED now_ms next_due_ms exhausted (id descriptor)*

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if is_laned(built) then return { 'LANED' } end
check_types()
if built == 'paused' then return { 'LEASED', now_ms(), -1, 1 } end
local rescuing = redis.call('ZCARD', KEYS[9]) > 0
if ARGV[7] ~= '' then redis.call('ZCARD', KEYS[10]) end
local want, now = tonumber(ARGV[1]), now_ms()
local promoted = promote(tonumber(ARGV[4]), now)

local ids, bands = {}, 0
for key = 2, 4 do
  if #ids >= want then break end
  local popped = redis.call('ZPOPMIN', KEYS[key], want - #ids)
  if #popped > 0 then bands = bands + 1 end
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
end

local reply, leases = { 'LEASED', now, -1, 0 }, {}
if #ids > 0 then
  local descriptors = redis.call('HMGET', KEYS[7], unpack(ids))
  local members, suffixes = {}, {}
  for i, id in ipairs(ids) do
    local fence = string.match(descriptors[i] or '', '^%d %d (%d+) ')
    if fence and not suffixes[fence] then suffixes[fence] = ':' .. string.format('%.0f', fence + 1) end
    members[i] = id .. (suffixes[fence or ''] or '')
  end
  local live = redis.call('ZMSCORE', KEYS[6], unpack(members))
  local rescued = rescuing and redis.call('ZMSCORE', KEYS[9], unpack(members)) or {}
  -- as text, once: a number is turned into one for every command that gets it
  local deadline = string.format('%.0f', now + tonumber(ARGV[2]))
  -- Pushed with two priorities, a job stands in two bands.
  local seen = bands > 1 and {}
  for i, id in ipairs(ids) do
    if descriptors[i] and not live[i] and not rescued[i] and not (seen and seen[id]) then
      if seen then seen[id] = true end
      leases[#leases + 1] = deadline
      leases[#leases + 1] = members[i]
      reply[#reply + 1] = id
      reply[#reply + 1] = descriptors[i]
    end
  end
  if #leases > 0 then redis.call('ZADD', KEYS[6], unpack(leases)) end
end

if #ids < want then
  redis.call('ZADD', KEYS[8], want - #leases / 2, ARGV[3])
  -- so that it is found when the first job comes that needs what it offers
  if ARGV[7] ~= '' then enter_offer(KEYS[10], ARGV[3], ARGV[7]) end
  reply[3], reply[4] = next_due(), 1
else
  redis.call('ZREM', KEYS[8], ARGV[3])
  if ARGV[7] ~= '' then forget_offer(KEYS[10], ARGV[3]) end
  if promoted > 0 then
    local left = 0
    for key = 2, 4 do left = left + redis.call('ZCARD', KEYS[key]) end
    wake(ARGV[5], ARGV[6], math.min(promoted, left))
  end
end
return reply
