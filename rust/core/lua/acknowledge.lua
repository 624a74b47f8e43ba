-- Purpose: forget leases whose jobs PostgreSQL knows as ended, and tell who waits for their results.
-- Guarantee: idempotent; the descriptor of a job that was pushed again since stays.
-- KEYS: generation, processing, rescue, jobs, cancelled
-- ARGV: settled_channel, members
-- Returns: NO_GENERATION | ACKNOWLEDGED removed

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
local members = { unpack(ARGV, 2) }
local ids = jobs_of(members)
local removed = forget(members, ids, KEYS[2], KEYS[3], KEYS[4], KEYS[5])
tell_settled(ARGV[1], ids)
return { 'ACKNOWLEDGED', removed }
