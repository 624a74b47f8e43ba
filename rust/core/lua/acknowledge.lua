-- Purpose: forget leases whose jobs PostgreSQL knows as ended, and tell who waits for their results.
-- Guarantee: idempotent; the descriptor of a job that was pushed again since stays.
-- KEYS: generation, processing, rescue, jobs, cancelled
-- ARGV: settled_channel, members
-- Returns: NO_GENERATION | LANED | ACKNOWLEDGED removed

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if is_laned(built) then return { 'LANED' } end
local members = { unpack(ARGV, 2) }
local ids = jobs_of(members)
local removed = forget(members, ids, KEYS[2], KEYS[3], KEYS[4], KEYS[5])
tell_settled(ARGV[1], ids)
return { 'ACKNOWLEDGED', removed }
