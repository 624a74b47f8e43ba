-- Purpose: take up to `want` ready jobs of a queue with lanes that a worker can run and limits allow: best band first, in it the tenant whose turn it is,
--   of that the job that comes first in the queue's order.
-- Guarantee: as lease. No limit is exceeded: what a lease counts for is written with it. A call that comes back short left no job that this worker
--   could have had. Costs O(log n) per job whatever is ready, and for each class of workers, limited type and tenant or lane that is found to wait.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: want, lease_ms, worker_id, promote_limit, queue, inbox_prefix, offers
-- Returns: NO_GENERATION | PLAIN | LEASED now_ms next_due_ms exhausted (id descriptor)*

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if not is_laned(built) then return { 'PLAIN' } end
check_types()
check_lane_types()
local now = math.floor(clock / 1000)
if built == 'paused laned' then return { 'LEASED', now, -1, 1 } end
read_policy()
local want, worker, offer = tonumber(ARGV[1]), ARGV[3], read_offer(ARGV[7])
local deadline = string.format('%.0f', now + tonumber(ARGV[2]))
local woken, taken, shut, rescuing = {}, {}, {}, redis.call('ZCARD', KEYS[9]) > 0
local reply, leases, touched = { 'LEASED', now, -1, 0 }, {}, {}
promote_lanes(tonumber(ARGV[4]), woken)

-- Sorts of jobs (`class|type`) that this worker can run with what it has left and whose types let another lease through.
local function open_sorts()
  local sorts = {}
  for number, class in pairs(classes()) do
    if fits(class, offer) then
      sorts[#sorts + 1] = number .. '|'
      for _, name in ipairs(policy.types) do
        local sort, at = number .. '|' .. name, opens('type|' .. name)
        if at == 0 then
          sorts[#sorts + 1] = sort
        elseif at and first_of(TURNS, sort) then
          resume_at('type|' .. name, at)
        end
      end
    end
  end
  return sorts
end
local sorts = open_sorts()

-- Whose turn it is in a band. Jobs outside of lanes are nobody's: they have the turns of the tenant without a name.
local function whose_turn(band)
  local best
  for _, sort in ipairs(sorts) do
    local first = first_turn(sort, band)
    if first and (not best or first.tag < best.tag or first.tag == best.tag and first.tenant < best.tenant) then best = first end
  end
  if in_plain_band('', band) then
    local tag = padded(tag_of('', band))
    if not best or tag <= best.tag then best = { tag = tag, tenant = '' } end
  end
  return best
end

-- The lane of a tenant that has its first job; one of a plain band has no key.
local function first_lane(band, tenant)
  local best
  for _, sort in ipairs(sorts) do
    local place = heads_of(sort, band, tenant)
    local found = not shut[place] and first_of(HEADS, place)
    local order, key = string.match(found and string.sub(found, #place + 2) or '', '^(%d+)|(.*)$')
    if order and (not best or order < best.order) then best = { order = order, sort = sort, key = key } end
  end
  local plain = in_plain_band(tenant, band) and redis.call('ZRANGE', KEYS[band + 1], 0, 0, 'WITHSCORES')
  if plain and plain[1] and (not best or padded(tonumber(plain[2])) <= best.order) then return { id = plain[1], plain = true } end
  if not best then return nil end
  local class, name = string.match(best.sort, '^(%d+)|(.*)$')
  local lane = { class = class, type = name, band = band, tenant = tenant, key = best.key, order = best.order }
  lane.name = table.concat({ class, name, band, tenant, best.key }, '|')
  return lane
end

-- Whether a limit of the tenant or the key holds the lane back: then it waits there.
local function is_held_back(lane)
  local name = 'tenant|' .. lane.tenant
  local at = opens(name)
  if at ~= 0 or not within_quota(lane.tenant, classes()[lane.class]) then
    park_turn(lane)
    shut[heads_of(sort_of(lane), lane.band, lane.tenant)] = true
    if at and at > 0 then resume_at(name, at) end
    return true
  end
  if lane.key == '' then return false end
  name = 'key|' .. lane.key
  at = opens(name)
  if at == 0 then return false end
  park_lane(lane, lane.order)
  if at then resume_at(name, at) end
  return true
end

local function charged_for(job)
  if policy.fair == 'time' then return mean_of(job.type) or job.cost end
  return job.cost
end

-- Takes the job out; unless it is a double, without descriptor or being rescued it is leased, charged and counted.
local function take(band, lane)
  local id = lane.id
  if lane.plain then
    redis.call('ZREM', KEYS[band + 1], id)
    plain_ready = {}
    rest('', band)
  else
    local member = first_of(READY, lane.name)
    id = string.sub(member, #lane.name + 21)
    remove_ready(member, woken)
  end
  local descriptor = redis.call('HGET', KEYS[7], id)
  local job = parse(id, descriptor)
  local lease = job and lease_after(job)
  if not job or taken[lease] or redis.call('ZSCORE', KEYS[6], lease) then return end
  if rescuing and redis.call('ZSCORE', KEYS[9], lease) then return end
  taken[lease] = true
  leases[#leases + 1], leases[#leases + 2] = deadline, lease
  reply[#reply + 1], reply[#reply + 2] = id, descriptor
  touched[band] = true
  local charged, tag = charged_for(job), tag_of(job.tenant, band)
  if policy.fair ~= 'share' and tag > time_of(band) then keep(tostring(band), tag) end
  hold(lease, job, band, charged)
  take_tokens(job.type, job.tenant, job.key)
  charge(job.tenant, band, charged)
  local number = lane.class or '0'
  if woken[number] then woken[number] = woken[number] - 1 end
  if lane.plain then return end
  pass_on(lane.key, woken)
  for name, amount in pairs(read_class(job.class).needs) do offer.left[name] = offer.left[name] - amount end
  if lane.type ~= '' or string.find(job.class, ';', 1, true) then sorts = open_sorts() end
end

local function take_next()
  local at = opens('queue')
  if at ~= 0 then
    if at then resume_at('queue', at) end
    return false
  end
  for band = 1, 3 do
    local first = whose_turn(band)
    if first then
      if first.tag ~= padded(tag_of(first.tenant, band)) then
        move_turns(first.tenant, band)
      else
        local lane = first_lane(band, first.tenant)
        if not lane then
          for _, sort in ipairs(sorts) do remove_turn(sort, band, first.tenant) end
        elseif lane.plain or not is_held_back(lane) then
          take(band, lane)
        end
      end
      return true
    end
  end
  return false
end
while #leases < 2 * want and take_next() do end

if #leases > 0 then redis.call('ZADD', KEYS[6], unpack(leases)) end
for band in pairs(touched) do forget_rested(band) end
write_back()
if #leases < 2 * want then
  redis.call('ZADD', KEYS[8], want - #leases / 2, worker)
  if ARGV[7] ~= '' then enter_offer(OFFERS, worker, ARGV[7]) else forget_offer(OFFERS, worker) end
  reply[3], reply[4] = next_due_in_lanes(), 1
  for number, class in pairs(classes()) do
    if fits(class, offer) then woken[number] = nil end
  end
else
  redis.call('ZREM', KEYS[8], worker)
  forget_offer(OFFERS, worker)
  -- it may have been woken for another job than those it took, which somebody else may be waiting for
  for number in pairs(ready_classes('')) do woken[number] = math.max(1, woken[number] or 0) end
end
wake_for(ARGV[5], ARGV[6], woken)
return reply
