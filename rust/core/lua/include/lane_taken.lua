-- Writes what a lease call has taken from lanes: each key once, whatever the number of jobs.

local taken_out = { ready = {}, ids = {}, bands = { {}, {}, {} }, classes = {} }
local parked, shared = {}, {}

-- The first job of a lane, out of it.
local function take_first(lane, most)
  local one = first_job(lane, most)
  lane.at = lane.at + 1
  if lane.plain then
    table.insert(taken_out.bands[lane.band], one.id)
  else
    table.insert(taken_out.ready, one.member)
    table.insert(taken_out.ids, one.id)
    taken_out.classes[lane.class] = true
  end
  move_up(lane)
  return one
end

-- A tenant waits for a limit of its own, in this sort.
local function shut_place(lane)
  lane.place.shut = true
  seen[lane.band][lane.tenant].changed = true
  table.insert(parked, 0)
  table.insert(parked, parked_turn(lane))
end

-- A lane waits for the limit of its key.
local function shut_lane(lane)
  local member, at = parked_lane(lane, string.format('%017.0f', clock))
  for _, text in ipairs({ 0, member, 0, at }) do table.insert(parked, text) end
  move_up(lane, true)
end

local function write_jobs()
  call_all('ZREM', READY, taken_out.ready)
  call_all('HDEL', ENTRIES, taken_out.ids)
  for band = 1, 3 do call_all('ZREM', KEYS[band + 1], taken_out.bands[band]) end
  local gone, come = {}, {}
  for _, lane in pairs(lanes) do
    if lane.moved and lane.now ~= lane.head then
      local prefix = lane.place.name .. '|'
      gone[#gone + 1] = prefix .. lane.head
      if lane.now then come[#come + 1], come[#come + 2] = 0, prefix .. lane.now end
    end
  end
  call_all('ZREM', HEADS, gone)
  call_all('ZADD', HEADS, come)
  call_all('ZADD', PARKED, parked)
  for number in pairs(taken_out.classes) do
    if number ~= '0' and not first_of(READY, number) then forget_class(number) end
  end
  taken_out, parked = { ready = {}, ids = {}, bands = { {}, {}, {} }, classes = {} }, {}
  plain_ready = {}
end

-- Moves a tenant's turns in a band to its tag; where nothing is left, or what is left is shut, there are none. With a single sort of jobs what was read is all there is.
local function move_turn(tenant, band, entry, single, gone, come, forgotten)
  local tag, left = padded(tag_of(tenant, band)), in_plain_band(tenant, band)
  local turns = single and entry and entry.written and { { sort = single, tag = entry.written } } or turns_of(tenant, band)
  for _, at in ipairs(turns) do
    local place = places[heads_of(at.sort, band, tenant)]
    local stays = not place or not place.shut and first_head(place)
    left = left or stays
    if not stays or at.tag ~= tag then
      local member, reverse = turn(at.sort, band, tenant, at.tag)
      gone[#gone + 1], gone[#gone + 2] = member, reverse
      if stays then
        member, reverse = turn(at.sort, band, tenant, tag)
        local at_end = #come
        come[at_end + 1], come[at_end + 2], come[at_end + 3], come[at_end + 4] = 0, member, 0, reverse
      end
    end
  end
  if left or policy.fair == 'share' then return end
  if tonumber(tag) > time_of(band) then
    come[#come + 1], come[#come + 2] = 0, 'rested|' .. band .. '|' .. tag .. '|' .. tenant
  else
    forgotten[#forgotten + 1] = band .. '|' .. tenant
  end
end

local function sort_if_single()
  if #policy.types > 0 then return nil end
  for number in pairs(classes()) do
    if number ~= '0' then return nil end
  end
  return '0|'
end

local function write_taken()
  local single, gone, come, forgotten = sort_if_single(), {}, {}, {}
  write_jobs()
  for band = 1, 3 do
    for tenant, entry in pairs(seen[band]) do
      if entry.changed or shared[tenant] then move_turn(tenant, band, entry, single, gone, come, forgotten) end
    end
    for tenant in pairs(shared) do
      if not seen[band][tenant] then move_turn(tenant, band, nil, single, gone, come, forgotten) end
    end
  end
  call_all('ZREM', TURNS, gone)
  call_all('ZADD', TURNS, come)
  call_all('HDEL', TENANTS, forgotten)
  for _, field in ipairs(forgotten) do tags[field], moved[field] = nil, nil end
  shared = {}
  forget_pages()
end
