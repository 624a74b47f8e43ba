-- Purpose: replace the policy of a queue.
-- Guarantee: as a whole or not at all. What a policy says of tenants and keys, and every number, may change while jobs run. Which types have limits, the
--   order, and what is fair say where jobs stand: they are set in place only where none stands or runs, and so are limits
--   while leases run that count for nothing yet. Lanes that wait for what lets more through now are unparked, and who can run them is woken.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: queue, inbox_prefix, building (1 or 0), fields (name and value each)
-- Returns: NO_GENERATION | POLICY change (0: it stood already, 1: set, 2: a rebuild has to set it)

local built, building = redis.call('GET', KEYS[1]), ARGV[3] == '1'
if not built and not building then return { 'NO_GENERATION' } end
check_types()
check_lane_types()

-- What follows from the fields stands beside them: the limited types, the resources with capacities, and since when buckets fill.
local fields, types, capacities, counts = {}, {}, {}, false
for at = 4, #ARGV, 2 do
  fields[ARGV[at]] = ARGV[at + 1]
  local kind, name = string.match(ARGV[at], '^(%a+)|(.*)$')
  if (kind == 'limit' or kind == 'rate') and string.match(name, '^type|') then types[string.sub(name, 6)] = true end
  counts = counts or kind == 'limit' or kind == 'quota'
  if kind == 'capacity' then capacities[name] = true end
end
local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ' ')
end
local before, stood = {}, redis.call('HGETALL', POLICY)
for at = 1, #stood, 2 do before[stood[at]] = stood[at + 1] end
local empty = #ARGV < 4
if not empty then
  fields['set|types'], fields['set|capacity'] = sorted(types), sorted(capacities)
  fields['set|since'] = before['set|since'] or string.format('%.0f', clock)
end

local same = true
for name, value in pairs(fields) do same = same and before[name] == value end
for name in pairs(before) do same = same and fields[name] ~= nil end
if same then return { 'POLICY', 0 } end

local function shape(of) return table.concat({ of.order or 'priority', of.fair or 'jobs', of['set|types'] or '' }, '|') end
local ready = redis.call('ZCARD', READY)
for key = 2, 4 do ready = ready + redis.call('ZCARD', KEYS[key]) end
local running = redis.call('ZCARD', KEYS[6]) + redis.call('ZCARD', KEYS[9])
if built and not building then
  if shape(fields) ~= shape(before) and ready + running > 0 then return { 'POLICY', 2 } end
  if counts and running > redis.call('HLEN', HOLDS) then return { 'POLICY', 2 } end
end

redis.call('DEL', POLICY)
for name, value in pairs(fields) do redis.call('HSET', POLICY, name, value) end
if empty then redis.call('DEL', RATES, RESUME) end
read_policy()
if not built then return { 'POLICY', 1 } end
if not empty and not is_laned(built) then
  redis.call('SET', KEYS[1], built == 'paused' and 'paused laned' or 'laned')
end

-- What a tenant holds is another share of a fleet that has changed, or by another weight.
if policy.fair == 'share' then
  local held = redis.call('HGETALL', USED)
  for at = 1, #held, 2 do
    local tenant = string.match(held[at], '^tenant|([^|]*)$')
    for each = 1, tenant and 3 or 0 do move_turns(tenant, each) end
  end
end

local from = '[key|'
while true do
  local member = redis.call('ZRANGE', PARKED, from, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not member then break end
  local name = string.match(member, '^%a+|[^|]*')
  local at = opens(name)
  if at == 0 and string.match(name, '^key|') then
    while next(unpark_key(string.sub(name, 5))) do end
  elseif at == 0 then
    unpark_tenant(string.sub(name, 8))
  elseif at then
    resume_at(name, at)
  end
  from = '(' .. name .. '}'
end
for _, name in ipairs({ 'queue', unpack(policy.types) }) do
  local at = opens(name == 'queue' and name or 'type|' .. name)
  if at and at > 0 then resume_at(name == 'queue' and name or 'type|' .. name, at) end
end
write_back()
if empty then forget_lanes() end
wake_for(ARGV[1], ARGV[2], ready_by_class())
return { 'POLICY', 1 }
