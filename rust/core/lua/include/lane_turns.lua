-- Whose turn it is: start-time fair queueing (Goyal, Vin and Cheng 1996) in each band. A tenant's tag is the virtual time at which its next job starts;
-- the lowest is next. A lease sets the band's virtual time to the tag and raises the tag by charge / weight; whoever has had nothing ready
-- begins at the virtual time, so that nothing is saved up. `share` has the tenant's dominant share for a tag (Ghodsi et al. 2011) and no time.
-- TURNS has `class|type|band|tag|tenant` for tenants with heads there, `of|tenant|band|class|type|tag` to find it by, and `rested|band|tag|tenant` for those
-- whose tags are still ahead of the time. TENANTS has `band|tenant` and the time, `band`.

local DEFAULT_WEIGHT = 1
local weights, tags, moved, plain_ready = {}, {}, {}, {}

local function weight_of(tenant)
  if policy.empty then return DEFAULT_WEIGHT end
  if not weights[tenant] then
    weights[tenant] = tonumber(redis.call('HGET', POLICY, 'weight|' .. tenant) or DEFAULT_WEIGHT)
  end
  return weights[tenant]
end

local function share_of(tenant)
  local largest = 0
  for name, capacity in pairs(policy.capacities) do
    local held = name == 'slots' and used_of('tenant|' .. tenant) * 1000 or used_of('tenant|' .. tenant .. '|' .. name)
    largest = math.max(largest, held / capacity)
  end
  return math.floor(largest / weight_of(tenant) * 1000000000000)
end

local function kept(field)
  if not tags[field] then tags[field] = tonumber(redis.call('HGET', TENANTS, field) or 0) end
  return tags[field]
end

local function keep(field, value)
  tags[field], moved[field] = value, true
end

local function forget_tag(field)
  redis.call('HDEL', TENANTS, field)
  tags[field], moved[field] = nil, nil
end

local function write_tags()
  local fields = {}
  for field in pairs(moved) do
    fields[#fields + 1] = field
    fields[#fields + 1] = string.format('%.0f', tags[field])
  end
  call_all('HSET', TENANTS, fields)
end

local function time_of(band) return kept(tostring(band)) end

local function tag_of(tenant, band)
  if policy.fair == 'share' then return share_of(tenant) end
  return kept(band .. '|' .. tenant)
end

local function turn(sort, band, tenant, tag)
  return sort .. '|' .. band .. '|' .. tag .. '|' .. tenant, 'of|' .. tenant .. '|' .. band .. '|' .. sort .. '|' .. tag
end

-- Where a tenant has turns in a band: sorts (`class|type`) and tags.
local function turns_of(tenant, band)
  local prefix, found = 'of|' .. tenant .. '|' .. band, {}
  for _, member in ipairs(redis.call('ZRANGE', TURNS, '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX')) do
    local sort, tag = string.match(string.sub(member, #prefix + 2), '^(.*)|(%d+)$')
    found[#found + 1] = { sort = sort, tag = tag }
  end
  return found
end

-- Whether jobs of nobody stand in a band outside of lanes; `plain_ready` is forgotten where that may have changed.
local function in_plain_band(tenant, band)
  if tenant ~= '' or policy.order ~= 'priority' then return false end
  if plain_ready[band] == nil then plain_ready[band] = redis.call('ZCARD', KEYS[band + 1]) > 0 end
  return plain_ready[band]
end

-- What is behind the virtual time need not be remembered.
local function rest(tenant, band)
  if policy.fair == 'share' or first_of(TURNS, 'of|' .. tenant .. '|' .. band) or in_plain_band(tenant, band) then return end
  local tag = tag_of(tenant, band)
  if tag > time_of(band) then
    redis.call('ZADD', TURNS, 0, 'rested|' .. band .. '|' .. padded(tag) .. '|' .. tenant)
  else
    forget_tag(band .. '|' .. tenant)
  end
end

local function forget_rested(band)
  local from, to = '[rested|' .. band .. '|', '[rested|' .. band .. '|' .. padded(time_of(band)) .. '}'
  for _, member in ipairs(redis.call('ZRANGE', TURNS, from, to, 'BYLEX', 'LIMIT', 0, 10)) do
    local tenant = string.match(member, '^rested|%d|%d+|(.*)$')
    redis.call('ZREM', TURNS, member)
    forget_tag(band .. '|' .. tenant)
  end
end

-- A tenant has something ready in a band where it had nothing.
local function arrive(tenant, band)
  if policy.fair == 'share' then return end
  local tag = tag_of(tenant, band)
  redis.call('ZREM', TURNS, 'rested|' .. band .. '|' .. padded(tag) .. '|' .. tenant)
  if tag < time_of(band) then keep(band .. '|' .. tenant, time_of(band)) end
end

local function add_turn(sort, band, tenant)
  if first_of(TURNS, 'of|' .. tenant .. '|' .. band .. '|' .. sort) then return end
  if not first_of(TURNS, 'of|' .. tenant .. '|' .. band) and not in_plain_band(tenant, band) then arrive(tenant, band) end
  local member, reverse = turn(sort, band, tenant, padded(tag_of(tenant, band)))
  redis.call('ZADD', TURNS, 0, member, 0, reverse)
end

local function remove_turn(sort, band, tenant)
  local reverse = first_of(TURNS, 'of|' .. tenant .. '|' .. band .. '|' .. sort)
  if not reverse then return end
  redis.call('ZREM', TURNS, reverse, (turn(sort, band, tenant, string.sub(reverse, -18))))
  rest(tenant, band)
end

-- Puts the turns of a tenant in a band where its tag is now.
local function move_turns(tenant, band, turns)
  local tag = padded(tag_of(tenant, band))
  for _, at in ipairs(turns or turns_of(tenant, band)) do
    if at.tag ~= tag then
      redis.call('ZREM', TURNS, turn(at.sort, band, tenant, at.tag))
      local member, reverse = turn(at.sort, band, tenant, tag)
      redis.call('ZADD', TURNS, 0, member, 0, reverse)
    end
  end
end

-- Raises or lowers a tag by what was used.
local function raise(tenant, band, used_up)
  local amount = math.floor(used_up * 1000 / weight_of(tenant) + 0.5)
  if used_up > 0 then amount = math.max(1, amount) end
  keep(band .. '|' .. tenant, math.max(0, tag_of(tenant, band) + amount))
end

-- Likewise, and moves the tenant's turns there; a share follows from what is held.
local function charge(tenant, band, used_up)
  if policy.fair == 'share' then
    for each = 1, 3 do move_turns(tenant, each) end
    return
  end
  local was, turns = tag_of(tenant, band), turns_of(tenant, band)
  if #turns == 0 then redis.call('ZREM', TURNS, 'rested|' .. band .. '|' .. padded(was) .. '|' .. tenant) end
  raise(tenant, band, used_up)
  move_turns(tenant, band, turns)
  if #turns == 0 then rest(tenant, band) end
end
