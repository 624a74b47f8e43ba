-- Purpose: push new jobs, and wake idle workers for those that are ready.
-- Guarantee: idempotent on (job, fence); a job whose lease is live is skipped; at most as many workers are woken as jobs became ready.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle
-- ARGV: queue, inbox_prefix, jobs
-- Returns: NO_GENERATION | LANED | PUSHED ready scheduled skipped woken

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if is_laned(built) then return { 'LANED' } end
check_types()
local kept, given = without_live(3)
local ready, scheduled = put(kept, now_ms())
return { 'PUSHED', ready, scheduled, given - #kept, wake(ARGV[1], ARGV[2], ready) }
