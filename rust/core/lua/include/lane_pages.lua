-- What a lease call reads and takes of lanes. Tenants, heads and jobs are read in pages, and what changes is kept here until `write_taken`, so that a call for
-- many jobs costs few commands for each. Nothing else may read or write those keys before it is written.

local SMALL, LARGE = 2, 32

-- By band: those who have been looked at, by name, and who of them waits for another turn; how far TURNS has been read for each sort, HEADS for each place, READY for each lane.
local seen, waiting, turn_pages, places, lanes, rescuing
local function forget_pages()
  seen, waiting = { {}, {}, {} }, { {}, {}, {} }
  turn_pages, places, lanes = {}, {}, {}
end
forget_pages()

-- The next members of a prefix, from where the page ended.
local function read_on(page, key, prefix, count)
  local members =
    redis.call('ZRANGE', key, page.from or '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX', 'LIMIT', 0, count)
  page.more = #members == count
  page.from = '(' .. (members[count] or '')
  return members
end

-- `written` is the tag that the tenant has in TURNS.
local function look_at(tenant, band, written)
  local entry = { tenant = tenant, tag = tag_of(tenant, band), written = written, changed = false }
  seen[band][tenant] = entry
  return entry
end

-- The next tenant of a sort in a band that has not been looked at.
local function upcoming(sort, band, count)
  local prefix = sort .. '|' .. band
  local page = turn_pages[prefix]
  if not page then
    page = { at = 1, more = true }
    turn_pages[prefix] = page
  end
  while true do
    local turn = page[page.at]
    if turn and not seen[band][turn.tenant] then return turn end
    if turn then
      page.at = page.at + 1
    elseif page.more then
      local names = {}
      for _, member in ipairs(read_on(page, TURNS, prefix, math.min(count, LARGE))) do
        local tag, tenant = string.match(string.sub(member, #prefix + 2), '^(%d+)|(.*)$')
        page[#page + 1] = { tag = tonumber(tag), tenant = tenant, written = tag }
        names[#names + 1] = 'tenant|' .. tenant
      end
      read_used(names)
    else
      return nil
    end
  end
end

-- Whose turn it is in a band, of those with jobs of these sorts; who is to have another one is pushed again. A tag that has changed since it was written (a
-- share, in another band) is put right here. Jobs outside of lanes are nobody's: they have the turns of the tenant without a name.
local function next_turn(sorts, band, count)
  local heap = waiting[band]
  if not seen[band][''] and in_plain_band('', band) then heap_push(heap, look_at('', band)) end
  while true do
    local turn
    for _, sort in ipairs(sorts) do
      local next_one = upcoming(sort, band, count)
      if next_one and (not turn or precedes(next_one, turn)) then turn = next_one end
    end
    local entry
    if turn and (not heap[1] or precedes(turn, heap[1])) then
      if policy.fair ~= 'share' then tags[band .. '|' .. turn.tenant] = turn.tag end
      entry = look_at(turn.tenant, band, turn.written)
      if entry.tag == turn.tag then return entry end
    else
      entry = heap_pop(heap)
      if not entry or entry.tag == tag_of(entry.tenant, band) then return entry end
      entry.tag = tag_of(entry.tenant, band)
    end
    heap_push(heap, entry)
  end
end

-- Puts a head where it belongs among the others, which are few.
local function insert_head(heads, head)
  local at = #heads + 1
  while at > 1 and heads[at - 1] > head do at = at - 1 end
  table.insert(heads, at, head)
end

-- The first head of a place, `order|key`, or nil. What has been read on stands behind what was taken in between, or before it.
local function first_head(place)
  local heads = place.heads
  while place.more and (not heads[1] or heads[1] > place.last) do
    local members = read_on(place, HEADS, place.name, place.last == '' and SMALL or LARGE)
    for _, member in ipairs(members) do
      place.last = string.sub(member, #place.name + 2)
      insert_head(heads, place.last)
    end
  end
  return heads[1]
end

-- The lanes of a tenant in a band that wait for no limit, by their first jobs.
local function place_of(sort, band, tenant)
  local name = heads_of(sort, band, tenant)
  if not places[name] then places[name] = { name = name, sort = sort, heads = {}, more = true, last = '', from = false, shut = false } end
  return places[name]
end

-- Tables with all of their fields at once: each that is added later makes Lua lay them out anew.
local function listed_job(id, member, order)
  return { id = id, member = member, order = order, descriptor = false, job = false, lease = false, live = false }
end

-- Reads jobs on, with their descriptors, and which of them have a live lease or are being rescued. What comes behind them is known too.
local function read_jobs(lane, most)
  local count = math.min(lane.size, most)
  lane.size = 4 * count
  local listed, ids = {}, {}
  if lane.plain then
    local from = lane.taken or 0
    local flat = redis.call('ZRANGE', KEYS[lane.band + 1], from, from + count, 'WITHSCORES')
    for at = 1, #flat, 2 do listed[#listed + 1] = listed_job(flat[at], false, padded(tonumber(flat[at + 1]))) end
    lane.taken = from + count
  else
    local from = lane.behind and '[' .. lane.behind.member or '[' .. lane.name .. '|'
    local members = redis.call('ZRANGE', READY, from, '(' .. lane.name .. '}', 'BYLEX', 'LIMIT', 0, count + 1)
    for at, member in ipairs(members) do
      listed[at] = listed_job(string.sub(member, #lane.name + 21), member, order_in(lane, member))
    end
  end
  lane.behind, listed[count + 1] = listed[count + 1], nil
  lane.jobs, lane.at = listed, 1
  if #listed == 0 then return end
  for at, one in ipairs(listed) do ids[at] = one.id end
  local leases, of = {}, {}
  for at, descriptor in ipairs(redis.call('HMGET', KEYS[7], unpack(ids))) do
    local one = listed[at]
    one.descriptor, one.job = descriptor, parse(one.id, descriptor)
    if one.job then
      one.lease = lease_after(one.job)
      leases[#leases + 1], of[#of + 1] = one.lease, one
    end
  end
  if rescuing == nil then rescuing = redis.call('ZCARD', KEYS[9]) > 0 end
  for _, key in ipairs({ KEYS[6], rescuing and KEYS[9] or nil }) do
    local found = #leases > 0 and redis.call('ZMSCORE', key, unpack(leases)) or {}
    for at, one in ipairs(of) do one.live = one.live or found[at] end
  end
end

-- The first job that is left in a lane, and its `order|key`.
local function first_job(lane, most)
  if not lane.jobs or not lane.jobs[lane.at] and lane.behind then read_jobs(lane, most) end
  return lane.jobs[lane.at]
end

-- The lane of a tenant that has its first job; a band without lanes counts as one of nobody's.
local function first_lane(sorts, band, tenant, most)
  local best, head
  for _, sort in ipairs(sorts) do
    local place = place_of(sort, band, tenant)
    local first = not place.shut and first_head(place)
    if first and (not best or string.sub(first, 1, 18) < string.sub(head, 1, 18)) then best, head = place, first end
  end
  if in_plain_band(tenant, band) then
    lanes[band] = lanes[band] or { plain = true, band = band, tenant = '', class = '0', key = '', size = 1 }
    local first = first_job(lanes[band], most)
    if first and (not best or first.order <= string.sub(head, 1, 18)) then return lanes[band] end
  end
  if not best then return nil end
  local key = string.sub(head, 20)
  local name = best.name .. '|' .. key
  if not lanes[name] then
    local class, job_type = string.match(best.sort, '^(%d+)|(.*)$')
    lanes[name] = {
      name = name, class = class, type = job_type, band = band, tenant = tenant, key = key, place = best, head = head,
      jobs = false, at = 1, behind = false, size = 1, moved = false, now = false,
    }
  end
  return lanes[name]
end

-- A lane's first job is out, or with `gone` the lane itself: the next of its place is the first.
local function move_up(lane, gone)
  seen[lane.band][lane.tenant].changed = true
  if lane.plain then return end
  local heads, first = lane.place.heads, not gone and (lane.jobs[lane.at] or lane.behind)
  table.remove(heads, 1)
  lane.moved, lane.now = true, first and first.order .. '|' .. lane.key
  if lane.now then insert_head(heads, lane.now) end
end
