-- What scripts share. KEYS 1 to 8 of a script that includes this are: generation, high, medium, low, scheduled, processing, jobs, idle.

-- Redis' own clock in ms: the only one that leases are measured by.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether the queue has lanes: then the scripts that know them are to be called. `<ms>`, `paused`, `laned` and `paused laned` are what
-- the generation of a queue can be.
local function is_laned(generation) return generation == 'laned' or generation == 'paused laned' end

-- Reads every key first: one of a wrong type raises WRONGTYPE here, before the first write.
local function check_types()
  for key = 2, 6 do redis.call('ZCARD', KEYS[key]) end
  redis.call('HLEN', KEYS[7])
  redis.call('ZCARD', KEYS[8])
end

-- The index in KEYS of a priority's band.
local function band(priority)
  if priority >= 4 then return 2 end
  if priority >= 2 then return 3 end
  return 4
end

-- Strict priority first, then the time of becoming ready; ids break ties, and rise with time. 2^45 ms is the year 3084.
local function score(priority, run_at)
  return string.format('%.0f', (5 - priority) * 35184372088832 + run_at)
end

-- The priority that a score was made of.
local function priority_of(score) return 5 - math.floor(score / 35184372088832) end

-- One write per key that gets anything: additions[key] is a flat list of scores and members.
local function add_all(additions)
  for key, flat in pairs(additions) do redis.call('ZADD', KEYS[key], unpack(flat)) end
end

local function append(additions, key, value, member)
  local flat = additions[key]
  if not flat then
    flat = {}
    additions[key] = flat
  end
  flat[#flat + 1] = value
  flat[#flat + 1] = member
end

-- Wakes idle workers, those with most free slots first, until their slots cover the jobs. Never more workers than jobs; one whose
-- inbox nobody hears is dead, and the next one is tried.
local function wake(queue, inbox_prefix, jobs)
  local woken = 0
  while jobs > 0 do
    local idle = redis.call('ZPOPMAX', KEYS[8])
    if #idle == 0 then break end
    if redis.call('PUBLISH', inbox_prefix .. idle[1] .. ':inbox', 'wake ' .. queue) > 0 then
      woken = woken + 1
      jobs = jobs - math.max(1, tonumber(idle[2]))
    end
  end
  return woken
end

-- Makes up to `limit` due jobs ready; how many. A job without a descriptor is dropped: the reconciler restores it.
local function promote(limit, now)
  local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, limit)
  if #due == 0 then return 0 end
  local descriptors = redis.call('HMGET', KEYS[7], unpack(due))
  local additions, promoted = {}, 0
  for i, id in ipairs(due) do
    local priority, run_at = string.match(descriptors[i] or '', '^1 (%d) %d+ %d+ %d+ %d+ (%d+) ')
    if priority then
      priority = tonumber(priority)
      append(additions, band(priority), score(priority, tonumber(run_at)), id)
      promoted = promoted + 1
    end
  end
  redis.call('ZREM', KEYS[5], unpack(due))
  add_all(additions)
  return promoted
end

-- When the next scheduled job is due, in ms, or -1.
local function next_due()
  local first = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or -1
end
