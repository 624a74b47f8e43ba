-- Purpose: acknowledge jobs that PostgreSQL has put among the dead letters, and enter them in the dead letter queue.
-- Guarantee: as acknowledge.
-- KEYS: generation, processing, rescue, jobs, cancelled, dead
-- ARGV: settled_channel, members
-- Returns: NO_GENERATION | LANED | ACKNOWLEDGED removed

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if is_laned(built) then return { 'LANED' } end
redis.call('ZCARD', KEYS[6])
local members = { unpack(ARGV, 2) }
local ids = jobs_of(members)
local removed = forget(members, ids, KEYS[2], KEYS[3], KEYS[4], KEYS[5])
enter_dead(KEYS[6], ids)
tell_settled(ARGV[1], ids)
return { 'ACKNOWLEDGED', removed }
