-- Purpose: give running jobs of PostgreSQL that have no lease here one of full length: their workers extend it, or it expires.
-- Guarantee: a lease that is there, or is being rescued, is left alone. With `rebuilding` = 1 the queue need not be built. What comes with its
--   descriptor counts for its limits again, once, and may exceed them: it runs already.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue, lane-queue, lane-entries, lane-heads, lane-turns, lane-tenants, lane-parked, lane-resume, lane-used, lane-rates, lane-holds, lane-policy, lane-classes, lane-means, lane-idle
-- ARGV: rebuilding, lease_ms, how many members, members, (member descriptor)*
-- Returns: NO_GENERATION | RESTORED count

local built, plain = redis.call('GET', KEYS[1]), tonumber(ARGV[3])
if not built and ARGV[1] ~= '1' then return { 'NO_GENERATION' } end
check_types()
check_lane_types()
local members = { unpack(ARGV, 4, 3 + plain) }
for at = 4 + plain, #ARGV, 2 do members[#members + 1] = ARGV[at] end
local rescued = redis.call('ZMSCORE', KEYS[9], unpack(members))
local deadline, leases = now_ms() + tonumber(ARGV[2]), {}
for i, member in ipairs(members) do
  if not rescued[i] then
    leases[#leases + 1] = deadline
    leases[#leases + 1] = member
  end
end
if #members > plain then
  if built and not is_laned(built) then
    redis.call('SET', KEYS[1], built == 'paused' and 'paused laned' or 'laned')
  end
  read_policy()
  for at = 4 + plain, #ARGV, 2 do
    local job = parse(string.match(ARGV[at], '^[^:]*'), ARGV[at + 1])
    if job and redis.call('HEXISTS', HOLDS, ARGV[at]) == 0 then
      local band = orders[policy.order](job)
      hold(ARGV[at], job, band, policy.fair == 'time' and 0 or job.cost)
    end
  end
  write_back()
end
if #leases == 0 then return { 'RESTORED', 0 } end
return { 'RESTORED', redis.call('ZADD', KEYS[6], 'NX', unpack(leases)) }
