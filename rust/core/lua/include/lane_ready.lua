-- Jobs that become ready: `place_ready` gathers them by lane, `write_ready` writes each key once for all of them.

local coming = { lanes = {}, ready = {}, entries = {}, plain = {}, plain_jobs = 0 }

local function lane_of(job, place)
  local limited = policy.limited[job.type] and job.type or ''
  local lane = { class = number_of(job.class), type = limited, band = place, tenant = job.tenant, key = job.key }
  lane.name = table.concat({ lane.class, limited, place, job.tenant, job.key }, '|')
  return lane
end

local function place_ready(job)
  if not stands_in_lane(job) then
    append(coming.plain, band(job.priority), score(job.priority, job.run_at), job.id)
    coming.plain_jobs = coming.plain_jobs + 1
    return
  end
  local place, order = orders[policy.order](job)
  local lane = lane_of(job, place)
  lane = coming.lanes[lane.name] or lane
  coming.lanes[lane.name] = lane
  lane.jobs, lane.first = (lane.jobs or 0) + 1, math.min(order, lane.first or order)
  local member = lane.name .. '|' .. padded(order) .. '|' .. job.id
  local at = #coming.ready
  coming.ready[at + 1], coming.ready[at + 2] = 0, member
  coming.entries[at + 1], coming.entries[at + 2] = job.id, member
end

-- Whether a gate lets a lease through; if only a token is missing, it is asked again when that is there.
local function lets_through(name)
  local at = opens(name)
  if at and at > 0 then resume_at(name, at) end
  return at == 0
end

-- Those of everybody's class that stand in no lane.
local function write_plain(woken)
  for index, flat in pairs(coming.plain) do
    if not in_plain_band('', index - 1) and not first_of(TURNS, 'of||' .. index - 1) then arrive('', index - 1) end
    call_all('ZADD', KEYS[index], flat)
  end
  plain_ready = {}
  if coming.plain_jobs > 0 and lets_through('queue') then add_woken(woken, '0', coming.plain_jobs) end
end

-- Writes what has become ready, and counts in `woken` by class what may be leased now, as far as limits go.
local function write_ready(woken)
  write_plain(woken)
  if #coming.ready == 0 then return end
  local gone, come, parked = {}, {}, redis.call('ZCARD', PARKED) > 0
  for name, lane in pairs(coming.lanes) do
    local before, first = first_of(READY, name), padded(lane.first)
    local waits = parked and parked_since(lane)
    if not waits and (not before or first < order_in(lane, before)) then
      if before then gone[#gone + 1] = head(lane, order_in(lane, before)) end
      come[#come + 1], come[#come + 2] = 0, head(lane, first)
      if not before then show_turn(lane) end
    end
    waits = waits or parked and lane.tenant ~= '' and redis.call('ZSCORE', PARKED, parked_turn(lane))
    if lets_through('queue') and (lane.type == '' or lets_through('type|' .. lane.type)) and not waits then
      add_woken(woken, lane.class, lane.jobs)
    end
  end
  call_all('ZADD', READY, coming.ready)
  call_all('HSET', ENTRIES, coming.entries)
  call_all('ZREM', HEADS, gone)
  call_all('ZADD', HEADS, come)
end
