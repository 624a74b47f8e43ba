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
local woken, taken = {}, {}
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
        elseif at then
          write_taken()
          if first_of(TURNS, sort) then resume_at('type|' .. name, at) end
        end
      end
    end
  end
  return sorts
end
local sorts = open_sorts()

-- Whether a limit of the tenant or the key holds the lane back: then it waits there.
local function is_held_back(lane)
  local name = 'tenant|' .. lane.tenant
  local at = opens(name)
  if at ~= 0 or not within_quota(lane.tenant, classes()[lane.class]) then
    shut_place(lane)
    if at and at > 0 then resume_at(name, at) end
    return true
  end
  if lane.key == '' then return false end
  name = 'key|' .. lane.key
  at = opens(name)
  if at == 0 then return false end
  shut_lane(lane)
  if at then resume_at(name, at) end
  return true
end

local function charged_for(job)
  if policy.fair == 'time' then return mean_of(job.type) or job.cost end
  return job.cost
end

-- A lane needs what its key lets through no longer: others may have it.
local function let_others(key)
  if key == '' or opens('key|' .. key) ~= 0 or not first_of(PARKED, 'key|' .. key) then return end
  write_taken()
  pass_on(key, woken)
end

-- Leases, charges and counts a job that was taken out; not a double, one without descriptor or one that is being rescued.
local function lease(one, band, lane)
  local job = one.job
  if not job or one.live or taken[one.lease] then return end
  taken[one.lease] = true
  leases[#leases + 1], leases[#leases + 2] = deadline, one.lease
  reply[#reply + 1], reply[#reply + 2] = one.id, one.descriptor
  touched[band] = true
  local charged, tag = charged_for(job), tag_of(job.tenant, band)
  if policy.fair ~= 'share' and tag > time_of(band) then keep(tostring(band), tag) end
  hold(one.lease, job, band, charged)
  take_tokens(job.type, job.tenant, job.key)
  if policy.fair == 'share' then shared[job.tenant] = true else raise(job.tenant, band, charged) end
  if woken[lane.class] then woken[lane.class] = woken[lane.class] - 1 end
  if lane.plain then return end
  local class = read_class(job.class)
  for name, amount in pairs(class.needs) do offer.left[name] = offer.left[name] - amount end
  if lane.type ~= '' or next(class.needs) then sorts = open_sorts() end
end

local function take_next()
  local at = opens('queue')
  if at ~= 0 then
    if at then resume_at('queue', at) end
    return false
  end
  local most = want - #leases / 2
  for band = 1, 3 do
    local entry = next_turn(sorts, band, most)
    if entry then
      local lane = first_lane(sorts, band, entry.tenant, most)
      if lane and (lane.plain or not is_held_back(lane)) then
        lease(take_first(lane, most), band, lane)
        entry.tag = tag_of(entry.tenant, band)
      end
      -- not where what was read has been given up meanwhile, or nothing of this tenant is left
      if lane and seen[band][entry.tenant] == entry then heap_push(waiting[band], entry) end
      if lane then let_others(lane.key) end
      return true
    end
  end
  return false
end
while #leases < 2 * want and take_next() do end

write_taken()
if #leases > 0 then redis.call('ZADD', KEYS[6], unpack(leases)) end
for band in pairs(touched) do forget_rested(band) end
write_back()
if #leases < 2 * want then
  redis.call('ZADD', KEYS[8], want - #leases / 2, worker)
  if ARGV[7] ~= '' then enter_offer(OFFERS, worker, text_of_offer(ARGV[7], offer)) else forget_offer(OFFERS, worker) end
  reply[3], reply[4] = next_due_in_lanes(), 1
else
  redis.call('ZREM', KEYS[8], worker)
  forget_offer(OFFERS, worker)
end
-- It may have been woken for another job than those it took, which somebody else may be waiting for. What it could still run is not there.
local offered = read_offer(ARGV[7])
for number in pairs(ready_classes('')) do
  if reply[4] == 0 or fits(classes()[number], offered) then woken[number] = math.max(1, woken[number] or 0) end
end
if reply[4] == 1 then
  for number, class in pairs(classes()) do
    if fits(class, offer) then woken[number] = nil end
  end
end
wake_for(ARGV[5], ARGV[6], woken)
return reply
