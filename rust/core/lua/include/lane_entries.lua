-- Ready jobs in lanes. READY has `class|type|band|tenant|key|order|id`, ENTRIES finds a job there. HEADS has the first job of each lane that does not
-- wait for a limit of its key, `class|type|band|tenant|order|key`; a lane that does is in PARKED as `key|KEY|class|band|since|type|tenant`, and `at|LANE|since`
-- finds it. A tenant that waits for a limit of its own has no turn there but `tenant|TENANT|band|class|type` in PARKED; its heads stay.

local UNPARKED_AT_ONCE = 16

-- The lane of a member of READY, and the order and id of the job.
local function lane_at(member)
  local part = split(member)
  local lane = { class = part[1], type = part[2], band = tonumber(part[3]), tenant = part[4], key = part[5] }
  lane.name = table.concat({ part[1], part[2], part[3], part[4], part[5] }, '|')
  return lane, part[6], part[7]
end

local function sort_of(lane) return lane.class .. '|' .. lane.type end

local function heads_of(sort, band, tenant) return sort .. '|' .. band .. '|' .. tenant end

local function head(lane, order) return heads_of(sort_of(lane), lane.band, lane.tenant) .. '|' .. order .. '|' .. lane.key end

local function order_in(lane, member) return string.sub(member, #lane.name + 2, #lane.name + 19) end

local function parked_since(lane)
  local at = lane.key ~= '' and first_of(PARKED, 'at|' .. lane.name)
  return at and string.sub(at, -17)
end

local function parked_turn(lane) return table.concat({ 'tenant', lane.tenant, lane.band, lane.class, lane.type }, '|') end

local function parked_lane(lane, since)
  return table.concat({ 'key', lane.key, lane.class, lane.band, since, lane.type, lane.tenant }, '|'),
    'at|' .. lane.name .. '|' .. since
end

local function show_turn(lane)
  if lane.tenant ~= '' and redis.call('ZSCORE', PARKED, parked_turn(lane)) then return end
  add_turn(sort_of(lane), lane.band, lane.tenant)
end

local function hide_turn(lane)
  if first_of(HEADS, heads_of(sort_of(lane), lane.band, lane.tenant)) then return end
  remove_turn(sort_of(lane), lane.band, lane.tenant)
  redis.call('ZREM', PARKED, parked_turn(lane))
end

local function park_turn(lane)
  remove_turn(sort_of(lane), lane.band, lane.tenant)
  redis.call('ZADD', PARKED, 0, parked_turn(lane))
end

local function park_lane(lane, order)
  redis.call('ZREM', HEADS, head(lane, order))
  local member, at = parked_lane(lane, string.format('%017.0f', clock))
  redis.call('ZADD', PARKED, 0, member, 0, at)
  hide_turn(lane)
end

-- Both unpark, and tell which classes they let run again.
local function unpark_tenant(tenant)
  local prefix, unparked = 'tenant|' .. tenant, {}
  for _, member in ipairs(redis.call('ZRANGE', PARKED, '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX')) do
    local part = split(member)
    redis.call('ZREM', PARKED, member)
    add_turn(part[4] .. '|' .. part[5], tonumber(part[3]), tenant)
    unparked[part[4]] = true
  end
  return unparked
end

-- Of each class the lanes of the first band that have waited longest.
local function unpark_key(key)
  local unparked = {}
  if not first_of(PARKED, 'key|' .. key) then return unparked end
  for number in pairs(classes()) do
    local prefix = 'key|' .. key .. '|' .. number
    local members =
      redis.call('ZRANGE', PARKED, '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX', 'LIMIT', 0, UNPARKED_AT_ONCE)
    for _, member in ipairs(members) do
      local part = split(member)
      local lane = { class = part[3], type = part[6], band = tonumber(part[4]), tenant = part[7], key = key }
      lane.name = table.concat({ part[3], part[6], part[4], part[7], key }, '|')
      redis.call('ZREM', PARKED, parked_lane(lane, part[5]))
      redis.call('ZADD', HEADS, 0, head(lane, order_in(lane, first_of(READY, lane.name))))
      show_turn(lane)
      unparked[number] = true
    end
  end
  return unparked
end

-- The classes that have jobs which wait for no limit of their tenant or key, of a limited type or of any ('').
local function ready_classes(job_type)
  local found = {}
  for number in pairs(classes()) do
    found[number] = first_of(TURNS, job_type == '' and number or number .. '|' .. job_type) and true or nil
  end
  if job_type == '' and (in_plain_band('', 1) or in_plain_band('', 2) or in_plain_band('', 3)) then found['0'] = true end
  return found
end

-- Counts jobs by class that became ready for whoever waits.
local function add_woken(woken, number, jobs) woken[number] = (woken[number] or 0) + jobs end

-- A lane needs what its key lets through no longer: others may have it.
local function pass_on(key, woken)
  if key == '' or opens('key|' .. key) ~= 0 then return end
  for number in pairs(unpark_key(key)) do add_woken(woken, number, 1) end
end

-- Takes one out that stands at `member`; the next of its lane moves up.
local function remove_ready(member, woken)
  local lane, order, id = lane_at(member)
  local first = first_of(READY, lane.name)
  redis.call('ZREM', READY, member)
  redis.call('HDEL', ENTRIES, id)
  if first ~= member then return lane end
  local since, after = parked_since(lane), first_of(READY, lane.name)
  if since then
    if not after then redis.call('ZREM', PARKED, parked_lane(lane, since)) end
  else
    redis.call('ZREM', HEADS, head(lane, order))
    if after then redis.call('ZADD', HEADS, 0, head(lane, order_in(lane, after))) else hide_turn(lane) end
  end
  if not after then
    pass_on(lane.key, woken)
    if not first_of(READY, lane.class) then forget_class(lane.class) end
  end
  return lane
end

-- Takes jobs out wherever they wait; how many places they stood in.
local function take_out(ids, woken)
  local removed = 0
  for key = 2, 5 do removed = removed + redis.call('ZREM', KEYS[key], unpack(ids)) end
  plain_ready = {}
  for i, member in ipairs(redis.call('HMGET', ENTRIES, unpack(ids))) do
    if member then
      remove_ready(member, woken)
      removed = removed + 1
    end
  end
  return removed
end
