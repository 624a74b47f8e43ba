-- Purpose: push jobs into a queue with lanes, or the first that need them into one without.
-- Guarantee: idempotent on (job, fence); afterwards each job stands in one place only, with this descriptor, in the lane that the queue's policy says; a
--   job whose next lease is live is skipped. With `requeue` and `rebuild` its last lease (id:fence) is gone, and what that held is given
--   back. With `rebuild` the queue need not be built, and nobody is woken. Only workers are woken that can run what became ready.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: queue, inbox_prefix, verb (enqueue, requeue or rebuild), jobs
-- Returns: NO_GENERATION | PLAIN | PUSHED ready scheduled skipped woken

local verb, built = ARGV[3], redis.call('GET', KEYS[1])
if not built and verb ~= 'rebuild' then return { 'NO_GENERATION' } end
check_types()
check_lane_types()
local kept, given = without_live(4)
local ids, leases, jobs, needs_lanes = {}, {}, {}, false
for i, at in ipairs(kept) do
  ids[i], leases[i] = ARGV[at], ARGV[at] .. ':' .. ARGV[at + 2]
  jobs[i] = parse(ARGV[at], ARGV[at + 4])
  if not jobs[i] then return redis.error_reply('ERR no descriptor: ' .. ARGV[at]) end
  needs_lanes = needs_lanes or jobs[i].laned
end
if built and not is_laned(built) and not needs_lanes and verb ~= 'rebuild' then return { 'PLAIN' } end
if built and not is_laned(built) and needs_lanes then
  redis.call('SET', KEYS[1], built == 'paused' and 'paused laned' or 'laned')
end
read_policy()
-- what a queue is declared built by finds that it has lanes
if not built and needs_lanes then keep('1', time_of(1)) end
local woken, hash, scheduled, now = {}, {}, 0, math.floor(clock / 1000)
if #kept > 0 then
  take_out(ids, woken)
  if verb ~= 'enqueue' then
    redis.call('ZREM', KEYS[6], unpack(leases))
    redis.call('ZREM', KEYS[9], unpack(leases))
    release(leases, false, woken)
  end
end
for i, at in ipairs(kept) do
  hash[#hash + 1], hash[#hash + 2] = ids[i], ARGV[at + 4]
  if tonumber(ARGV[at + 3]) > now then
    redis.call('ZADD', KEYS[5], ARGV[at + 3], ids[i])
    scheduled = scheduled + 1
  else
    place_ready(jobs[i])
  end
end
if #hash > 0 then redis.call('HSET', KEYS[7], unpack(hash)) end
write_ready(woken)
write_back()
local heard = verb == 'rebuild' and 0 or wake_for(ARGV[1], ARGV[2], woken)
return { 'PUSHED', #kept - scheduled, scheduled, given - #kept, heard }
