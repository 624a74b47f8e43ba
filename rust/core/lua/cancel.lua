-- Purpose: take jobs that PostgreSQL has cancelled before they were run out of the queue, and tell who waits for their results.
-- Guarantee: idempotent; a job leased in between is refused its start by PostgreSQL.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle
-- ARGV: settled_channel, ids
-- Returns: NO_GENERATION | CANCELLED removed

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_types()
local ids = { unpack(ARGV, 2) }
local removed = 0
for key = 2, 5 do removed = removed + redis.call('ZREM', KEYS[key], unpack(ids)) end
redis.call('HDEL', KEYS[7], unpack(ids))
redis.call('PUBLISH', ARGV[1], table.concat(ids, '\n'))
return { 'CANCELLED', removed }
