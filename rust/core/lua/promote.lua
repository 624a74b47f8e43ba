-- Purpose: make due scheduled jobs ready, and wake idle workers for them.
-- Guarantee: bounded by `limit`; at most as many workers are woken as jobs became ready.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle
-- ARGV: queue, inbox_prefix, limit
-- Returns: NO_GENERATION | PROMOTED count next_due_ms

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_types()
local promoted = promote(tonumber(ARGV[3]), now_ms())
wake(ARGV[1], ARGV[2], promoted)
return { 'PROMOTED', promoted, next_due() }
