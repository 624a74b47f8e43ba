-- Purpose: make due scheduled jobs ready, let limits be asked again whose next token is there, and wake idle workers for both.
-- Guarantee: bounded by `limit`; at most as many workers are woken as jobs became ready.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: queue, inbox_prefix, limit
-- Returns: NO_GENERATION | PROMOTED count next_due_ms

local built, limit = redis.call('GET', KEYS[1]), tonumber(ARGV[3])
if not built then return { 'NO_GENERATION' } end
check_types()
if not is_laned(built) then
  local promoted = promote(limit, now_ms())
  wake(ARGV[1], ARGV[2], promoted)
  return { 'PROMOTED', promoted, next_due() }
end
check_lane_types()
read_policy()
local woken = {}
local promoted = promote_lanes(limit, woken)
write_back()
wake_for(ARGV[1], ARGV[2], woken)
return { 'PROMOTED', promoted, next_due_in_lanes() }
