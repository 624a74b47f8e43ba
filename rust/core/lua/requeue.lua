-- Purpose: push jobs that may sit somewhere already: a retry, a release, a rescue, a released dependent, a rebuild.
-- Guarantee: afterwards the job stands in one place only, with this descriptor; its last lease (id:fence) is gone; a job whose next
--   lease is live is skipped. With `rebuilding` = 1 the queue need not be built, and nobody is woken: nobody can lease yet.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle, rescue
-- ARGV: queue, inbox_prefix, rebuilding, jobs
-- Returns: NO_GENERATION | PUSHED ready scheduled skipped woken

if ARGV[3] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_types()
redis.call('ZCARD', KEYS[9])
local kept, given = without_live(4)
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
local woken = ARGV[3] == '1' and 0 or wake(ARGV[1], ARGV[2], ready)
return { 'PUSHED', ready, scheduled, given - #kept, woken }
