-- Forgets leases whose jobs have ended. A lease found in processing was live, so the job's descriptor is the one it was leased by.
-- One found in rescue may be older than a descriptor that was pushed since, which must stay.

-- The jobs of leases.
local function jobs_of(members)
  local ids = {}
  for i, member in ipairs(members) do ids[i] = string.sub(member, 1, string.find(member, ':', 1, true) - 1) end
  return ids
end

local function forget(members, ids, processing, rescue, jobs, cancelled)
  local deadlines = redis.call('ZMSCORE', processing, unpack(members))
  redis.call('ZCARD', rescue)
  redis.call('HLEN', jobs)
  local asked_to_stop = redis.call('SCARD', cancelled)
  local live, ended = {}, {}
  for i, member in ipairs(members) do
    if deadlines[i] then
      live[#live + 1] = member
      ended[#ended + 1] = ids[i]
    elseif redis.call('ZREM', rescue, member) == 1 then
      local newer = string.match(redis.call('HGET', jobs, ids[i]) or '', '^%d %d (%d+) ')
      local fence = string.sub(member, #ids[i] + 2)
      if newer and tonumber(newer) < tonumber(fence) then ended[#ended + 1] = ids[i] end
    end
  end
  if #live > 0 then redis.call('ZREM', processing, unpack(live)) end
  if #ended > 0 then redis.call('HDEL', jobs, unpack(ended)) end
  if asked_to_stop > 0 then redis.call('SREM', cancelled, unpack(members)) end
  return #ended
end

local function enter_dead(dead, ids)
  local now, entries = now_ms(), {}
  for _, id in ipairs(ids) do
    entries[#entries + 1] = now
    entries[#entries + 1] = id
  end
  redis.call('ZADD', dead, unpack(entries))
end

-- Tells whoever waits for a result that these jobs have ended; where nobody listens it costs one command.
local function tell_settled(channel, ids) redis.call('PUBLISH', channel, table.concat(ids, '\n')) end
