-- Purpose: acknowledge or bury in a queue with lanes: as those, and give back what the leases held.
-- Guarantee: as acknowledge. What a limit held back is woken for as many as it lets through now.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle, cancelled, dead
-- ARGV: queue, inbox_prefix, settled_channel, bury (1 or 0), members
-- Returns: NO_GENERATION | PLAIN | ACKNOWLEDGED removed

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if not is_laned(built) then return { 'PLAIN' } end
check_types()
check_lane_types()
redis.call('ZCARD', KEYS[25])
read_policy()
local members, woken = { unpack(ARGV, 5) }, {}
local ids = jobs_of(members)
local removed = forget(members, ids, KEYS[6], KEYS[9], KEYS[7], KEYS[24])
release(members, true, woken)
if ARGV[4] == '1' then enter_dead(KEYS[25], ids) end
write_back()
forget_lanes()
tell_settled(ARGV[3], ids)
wake_for(ARGV[1], ARGV[2], woken)
return { 'ACKNOWLEDGED', removed }
