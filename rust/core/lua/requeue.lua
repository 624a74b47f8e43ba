-- Purpose: push jobs that may sit somewhere already: a retry, a release, a rescue, a released dependent.
-- Guarantee: afterwards the job stands in one place only, with this descriptor; its last lease (id:fence) is gone; a job whose next
--   lease is live is skipped.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue
-- ARGV: queue, inbox_prefix, jobs
-- Returns: NO_GENERATION | LANED | PUSHED ready scheduled skipped woken

local built = redis.call('GET', KEYS[1])
if not built then return { 'NO_GENERATION' } end
if is_laned(built) then return { 'LANED' } end
check_types()
redis.call('ZCARD', KEYS[9])
local kept, given = without_live(3)
if #kept > 0 then
  local ids, leases = {}, {}
  for i, at in ipairs(kept) do
    ids[i] = ARGV[at]
    leases[i] = ARGV[at] .. ':' .. ARGV[at + 2]
  end
  redis.call('ZREM', KEYS[6], unpack(leases))
  redis.call('ZREM', KEYS[9], unpack(leases))
  for key = 2, 5 do redis.call('ZREM', KEYS[key], unpack(ids)) end
end
local ready, scheduled = put(kept, now_ms())
return { 'PUSHED', ready, scheduled, given - #kept, wake(ARGV[1], ARGV[2], ready) }
