-- Purpose: after a rebuild, enter as idle the workers that Redis has forgotten, and wake as many as the ready jobs need.
-- Guarantee: one that was not idle is woken once for nothing; one that is gone is passed over when its turn comes. What workers offer is not known
--   any more: where jobs need something of them, now or later, each is woken once.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: queue, inbox_prefix, workers
-- Returns: NO_GENERATION | ROUSED woken

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
check_types()
check_lane_types()
for i = 3, #ARGV do
  if redis.call('ZADD', KEYS[8], 'NX', 1, ARGV[i]) == 1 then enter_offer(OFFERS, ARGV[i], '?') end
end
read_policy()
return { 'ROUSED', wake_for(ARGV[1], ARGV[2], ready_by_class()) }
