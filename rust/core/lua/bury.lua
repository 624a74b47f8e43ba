-- Purpose: acknowledge jobs that PostgreSQL has put among the dead letters, and enter them in the dead letter queue.
-- Guarantee: as acknowledge.
-- KEYS: generation, processing, rescue, jobs, cancelled, dead
-- ARGV: settled_channel, members
-- Returns: NO_GENERATION | ACKNOWLEDGED removed

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
redis.call('ZCARD', KEYS[6])
local members = { unpack(ARGV, 2) }
local ids = jobs_of(members)
local removed = forget(members, ids, KEYS[2], KEYS[3], KEYS[4], KEYS[5])
local now, entries = now_ms(), {}
for _, id in ipairs(ids) do
  entries[#entries + 1] = now
  entries[#entries + 1] = id
end
redis.call('ZADD', KEYS[6], unpack(entries))
tell_settled(ARGV[1], ids)
return { 'ACKNOWLEDGED', removed }
