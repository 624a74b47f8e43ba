-- Purpose: after a rebuild, enter as idle the workers that Redis has forgotten, and wake as many as the ready jobs need.
-- Guarantee: one that was not idle is woken once for nothing; one that is gone is passed over when its turn comes.
-- KEYS: generation, high, medium, low, scheduled, processing, jobs, idle
-- ARGV: queue, inbox_prefix, workers
-- Returns: NO_GENERATION | ROUSED woken

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
check_types()
local entries, ready = {}, 0
for i = 3, #ARGV do
  entries[#entries + 1] = 1
  entries[#entries + 1] = ARGV[i]
end
if #entries > 0 then redis.call('ZADD', KEYS[8], 'NX', unpack(entries)) end
for key = 2, 4 do ready = ready + redis.call('ZCARD', KEYS[key]) end
return { 'ROUSED', wake(ARGV[1], ARGV[2], ready) }
