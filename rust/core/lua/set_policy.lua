-- Purpose: replace the policy of a queue.
-- Guarantee: as a whole or not at all.
-- KEYS: generation, lane-policy
-- ARGV: queue, inbox_prefix, building (1 or 0), fields (name and value each)
-- Returns: NO_GENERATION | POLICY change (0: it stood already, 1: set, 2: a rebuild has to set it)

if ARGV[3] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
local fields = { unpack(ARGV, 4) }
local before, same = redis.call('HGETALL', KEYS[2]), true
if #before == #fields then
  local found = {}
  for at = 1, #before, 2 do found[before[at]] = before[at + 1] end
  for at = 1, #fields, 2 do same = same and found[fields[at]] == fields[at + 1] end
  if same then return { 'POLICY', 0 } end
end
redis.call('DEL', KEYS[2])
if #fields > 0 then redis.call('HSET', KEYS[2], unpack(fields)) end
return { 'POLICY', 1 }
