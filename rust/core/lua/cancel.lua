-- Purpose: take jobs that PostgreSQL has cancelled before they were run out of the queue, and tell who waits for their results.
-- Guarantee: idempotent; a job leased in between is refused its start by PostgreSQL.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: queue, inbox_prefix, settled_channel, ids
-- Returns: NO_GENERATION | CANCELLED removed

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
check_types()
local ids, woken, removed = { unpack(ARGV, 4) }, {}, 0
if is_laned(built) then
  check_lane_types()
  read_policy()
  removed = take_out(ids, woken)
  write_back()
  forget_lanes()
  wake_for(ARGV[1], ARGV[2], woken)
else
  for key = 2, 5 do removed = removed + redis.call('ZREM', KEYS[key], unpack(ids)) end
end
redis.call('HDEL', KEYS[7], unpack(ids))
redis.call('PUBLISH', ARGV[3], table.concat(ids, '\n'))
return { 'CANCELLED', removed }
