-- Idle workers that offer something, as an ordered map both ways: `by|OFFERS|WORKER` and `of|WORKER|OFFERS`. Who is in here counts as idle only
-- while it is in the queue's `idle` too; what is not is dropped where it is met.

-- The first member that begins with a prefix and its separator; nil if none does. `}` is the byte behind `|`.
local function first_of(key, prefix)
  return redis.call('ZRANGE', key, '[' .. prefix .. '|', '(' .. prefix .. '}', 'BYLEX', 'LIMIT', 0, 1)[1]
end

local function forget_offer(key, worker)
  local known = first_of(key, 'of|' .. worker)
  if known then redis.call('ZREM', key, known, 'by|' .. string.sub(known, #worker + 5) .. '|' .. worker) end
end

local function enter_offer(key, worker, offers)
  local member = 'of|' .. worker .. '|' .. offers
  if redis.call('ZSCORE', key, member) then return end
  forget_offer(key, worker)
  redis.call('ZADD', key, 0, member, 0, 'by|' .. offers .. '|' .. worker)
end
