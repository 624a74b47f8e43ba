-- Purpose: push new jobs, and wake idle workers for those that are ready.
-- Guarantee: idempotent on (job, fence); a job whose lease is live is skipped; at most as many workers are woken as jobs became ready.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle
-- ARGV: queue, inbox_prefix, jobs
-- Returns: NO_GENERATION | PUSHED ready scheduled skipped woken

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_types()
local kept, given = without_live(3)
local ready, scheduled = put(kept, now_ms())
return { 'PUSHED', ready, scheduled, given - #kept, wake(ARGV[1], ARGV[2], ready) }
