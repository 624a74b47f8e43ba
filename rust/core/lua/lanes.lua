-- Purpose: say what there is in the lanes of a queue, for people.
-- Guarantee: reads only; at most `limit` limits and tenants.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: limit
-- Returns: NO_GENERATION | LANES classes (text, ready)* limits (name, used, parked)* tenants (name, virtual time)*

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_lane_types()
read_policy()
local limit = tonumber(ARGV[1])

local ready, numbers = {}, {}
for number, class in pairs(classes()) do
  local jobs = redis.call('ZLEXCOUNT', READY, '[' .. number .. '|', '(' .. number .. '}')
  numbers[#numbers + 1] = number
  if jobs > 0 then
    ready[#ready + 1] = class.text
    ready[#ready + 1] = tostring(jobs)
  end
end

-- first what something waits for, then the limits of the queue and of types, then what else is used
local limits, told = {}, {}
local function tell(name, parked)
  if told[name] or #limits >= 3 * limit then return end
  told[name] = true
  limits[#limits + 1], limits[#limits + 2], limits[#limits + 3] = name, string.format('%.0f', used_of(name)), tostring(parked)
end
local from = '[key|'
while #limits < 3 * limit do
  local member = redis.call('ZRANGE', PARKED, from, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not member then break end
  local name = string.match(member, '^%a+|[^|]*')
  tell(name, redis.call('ZLEXCOUNT', PARKED, '[' .. name .. '|', '(' .. name .. '}'))
  from = '(' .. name .. '}'
end
if #ready > 0 or redis.call('EXISTS', HOLDS) == 1 then tell('queue', 0) end
for _, name in ipairs(policy.types) do tell('type|' .. name, 0) end
local used_by = redis.call('HSCAN', USED, 0, 'COUNT', limit)[2]
for at = 1, #used_by, 2 do
  if string.sub(used_by[at], -1) ~= '|' then tell(used_by[at], 0) end
end

local tenants, seen = {}, {}
for band = 1, 3 do
  local found = {}
  for _, number in ipairs(numbers) do
    for _, name in ipairs({ '', unpack(policy.types) }) do
      local prefix = number .. '|' .. name .. '|' .. band
      local members = redis.call('ZRANGE', TURNS, '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX', 'LIMIT', 0, limit)
      for _, member in ipairs(members) do found[#found + 1] = string.sub(member, #prefix + 2) end
    end
  end
  table.sort(found)
  for _, text in ipairs(found) do
    local tag, tenant = string.match(text, '^(%d+)|(.*)$')
    if not seen[tenant] and #tenants < 2 * limit then
      seen[tenant] = true
      tenants[#tenants + 1], tenants[#tenants + 2] = tenant, string.format('%.0f', tag)
    end
  end
end
return { 'LANES', ready, limits, tenants }
