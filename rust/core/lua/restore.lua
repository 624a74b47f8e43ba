-- Purpose: give running jobs of PostgreSQL that have no lease here one of full length: their workers extend it, or it expires.
-- Guarantee: a lease that is there, or is being rescued, is left alone. With `rebuilding` = 1 the queue need not be built.
-- KEYS: generation, processing, rescue
-- ARGV: rebuilding, lease_ms, members
-- Returns: NO_GENERATION | RESTORED count

if ARGV[1] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
local members = { unpack(ARGV, 3) }
redis.call('ZCARD', KEYS[2])
local rescued = redis.call('ZMSCORE', KEYS[3], unpack(members))
local deadline, leases = now_ms() + tonumber(ARGV[2]), {}
for i, member in ipairs(members) do
  if not rescued[i] then
    leases[#leases + 1] = deadline
    leases[#leases + 1] = member
  end
end
if #leases == 0 then return { 'RESTORED', 0 } end
return { 'RESTORED', redis.call('ZADD', KEYS[2], 'NX', unpack(leases)) }
