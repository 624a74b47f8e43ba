-- Wakes for jobs of a class the workers that can run them and nobody else; for jobs of everybody's class whoever has most free slots.

-- Walks idle workers' offers, one after the other; a whole profile that does not fit is passed over in one step. Whose offers are not known (`?`, after
-- a rebuild) are all woken, and say what they offer when they ask.
local function wake_class(queue, inbox_prefix, class, jobs)
  local from, woken = '[by|', 0
  while jobs > 0 do
    local member = redis.call('ZRANGE', OFFERS, from, '(by}', 'BYLEX', 'LIMIT', 0, 1)[1]
    if not member then break end
    local offers, worker = string.match(member, '^by|([^|]*)|(.*)$')
    if offers ~= '?' and not fits(class, read_offer(offers)) then
      from = '(by|' .. offers .. '}'
    else
      local slots = redis.call('ZSCORE', KEYS[8], worker)
      redis.call('ZREM', OFFERS, member, 'of|' .. worker .. '|' .. offers)
      redis.call('ZREM', KEYS[8], worker)
      if slots and redis.call('PUBLISH', inbox_prefix .. worker .. ':inbox', 'wake ' .. queue) > 0 then
        woken = woken + 1
        if offers ~= '?' then jobs = jobs - math.max(1, tonumber(slots)) end
      end
    end
  end
  return woken
end

-- For counts of jobs by class; how many workers were woken.
local function wake_for(queue, inbox_prefix, counts)
  if redis.call('ZCARD', KEYS[8]) == 0 or opens('queue') ~= 0 then return 0 end
  local woken = 0
  for number, jobs in pairs(counts) do
    if number == '0' then
      woken = woken + wake(queue, inbox_prefix, jobs)
    elseif classes()[number] then
      woken = woken + wake_class(queue, inbox_prefix, classes()[number], jobs)
    end
  end
  return woken
end

-- All that is ready, by class.
local function ready_by_class()
  local counts = {}
  for number in pairs(classes()) do
    counts[number] = redis.call('ZLEXCOUNT', READY, '[' .. number .. '|', '(' .. number .. '}')
  end
  for key = 2, 4 do counts['0'] = counts['0'] + redis.call('ZCARD', KEYS[key]) end
  return counts
end
