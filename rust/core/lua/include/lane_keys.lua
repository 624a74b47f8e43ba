-- What scripts of queues with lanes share: KEYS 9 is rescue, 10 to 23 are the lanes' own; the policy, and jobs picked apart.
-- A lane is `class|type|band|tenant|key`: the number of the class of workers that its jobs need, their type if it has a limit in this queue, the
-- band of the queue's order, whose they are, and what they share a limit with. `|` occurs in no name.

local READY, ENTRIES, HEADS, TURNS, TENANTS, PARKED, RESUME, USED, RATES, HOLDS, POLICY, CLASSES, MEANS, OFFERS =
  unpack(KEYS, 10, 23)

local function check_lane_types()
  for _, key in ipairs({ KEYS[9], READY, HEADS, TURNS, PARKED, RESUME, RATES, OFFERS }) do redis.call('ZCARD', key) end
  for _, key in ipairs({ ENTRIES, TENANTS, USED, HOLDS, POLICY, CLASSES, MEANS }) do redis.call('HLEN', key) end
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function split(text)
  local parts = {}
  for part in string.gmatch(text .. '|', '([^|]*)|') do parts[#parts + 1] = part end
  return parts
end

local function words(text)
  local list = {}
  for word in string.gmatch(text or '', '%S+') do list[#list + 1] = word end
  return list
end

-- A command on a key with many arguments, as often as Lua can hand them over.
local function call_all(command, key, list)
  for first = 1, #list, 1000 do redis.call(command, key, unpack(list, first, math.min(first + 999, #list))) end
end

-- A number as text that sorts as the number does.
local function padded(number) return string.format('%018.0f', number) end

-- What of the policy every call needs; limits are read where they are met.
local policy = { limited = {}, types = {} }
local function read_policy()
  local found = redis.call('HMGET', POLICY, 'order', 'ageing_ms', 'shortest_factor', 'fair', 'set|types', 'set|since', 'set|capacity')
  policy.order, policy.ageing_ms = found[1] or 'priority', tonumber(found[2] or 60000)
  policy.shortest_factor, policy.fair = tonumber(found[3] or 1), found[4] or 'jobs'
  policy.types, policy.since, policy.capacity = words(found[5]), tonumber(found[6] or 0), words(found[7])
  policy.empty = not found[6]
  for _, name in ipairs(policy.types) do policy.limited[name] = true end
  policy.capacities = {}
  if policy.fair == 'share' then
    for _, name in ipairs(policy.capacity) do
      policy.capacities[name] = tonumber(redis.call('HGET', POLICY, 'capacity|' .. name)) * 1000
    end
  end
end

local means = {}
local function mean_of(job_type)
  if means[job_type] == nil then means[job_type] = tonumber(redis.call('HGET', MEANS, job_type) or nil) or false end
  return means[job_type] or nil
end

local function absent(word) return word ~= '-' and word or '' end

-- A job from its descriptor, or nil.
local function parse(id, text)
  text = text or ''
  local laned, cost, deadline = string.byte(text) == 50, 1000, 0 -- '2'
  local priority, fence, run_at, job_type, tenant, class, key
  if laned then
    priority, fence, run_at, job_type, tenant, class, key, cost, deadline =
      string.match(text, '^2 (%d) (%d+) %d+ %d+ %d+ (%-?%d+) %S+ %S+ (%S+) (%S+) (%S+) (%S+) (%d+) (%d+)\n')
  else
    priority, fence, run_at, job_type = string.match(text, '^1 (%d) (%d+) %d+ %d+ %d+ (%-?%d+) %S+ %S+ (%S+)')
  end
  if not priority then return nil end
  return {
    id = id, priority = tonumber(priority), fence = fence, type = job_type, run_at = math.max(0, tonumber(run_at)), laned = laned,
    tenant = absent(tenant), class = absent(class), key = absent(key), cost = tonumber(cost), deadline = tonumber(deadline),
  }
end

-- The lease of a job that would be taken next.
local function lease_after(job) return job.id .. ':' .. string.format('%.0f', job.fence + 1) end
