-- Makes due jobs ready, and lets limits be asked again whose tokens are there.

local function promote_lanes(limit, woken)
  local now = math.floor(clock / 1000)
  local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, limit)
  local promoted = 0
  if #due > 0 then
    local descriptors = redis.call('HMGET', KEYS[7], unpack(due))
    take_out(due, woken)
    for i, id in ipairs(due) do
      local job = parse(id, descriptors[i])
      if job then
        place_ready(job)
        promoted = promoted + 1
      end
    end
    write_ready(woken)
  end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', RESUME, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', RESUME, name)
    open_gate(name, tokens(name, limit), woken)
  end
  return promoted
end

-- When something becomes ready, or a token is there that is waited for, in ms, or -1.
local function next_due_in_lanes()
  local job, token = next_due(), redis.call('ZRANGE', RESUME, 0, 0, 'WITHSCORES')[2]
  if not token then return job end
  return job < 0 and tonumber(token) or math.min(job, tonumber(token))
end
