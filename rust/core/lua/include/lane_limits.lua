-- Limits. A gate is what leases count for: `queue`, `type|T`, `tenant|T`, `key|K`. It lets a lease through while fewer than its limit count for it and
-- its token bucket has one; a tenant's gate besides while what its leases hold of a resource, with what the next one needs, stays within its quota.
-- Every lease counts for all of its gates, limited or not, so that a limit may come while jobs run.
-- A bucket is the time at which it is full again (GCRA, ATM Forum 1994): a token is there while that is less than `burst` steps away. Steps are rounded
-- up, so that no more than burst + rate * T pass in any time T. A bucket that was never used was empty when the policy was set.

local gates, gate_lists, used, changed, clock = {}, {}, {}, {}, now_us()

local function used_of(name)
  if not used[name] then used[name] = tonumber(redis.call('HGET', USED, name) or 0) end
  return used[name]
end

-- At once what will be asked one by one.
local function read_used(names)
  local missing = {}
  for _, name in ipairs(names) do
    if not used[name] then missing[#missing + 1] = name end
  end
  if #missing == 0 then return end
  for at, value in ipairs(redis.call('HMGET', USED, unpack(missing))) do used[missing[at]] = tonumber(value or 0) end
end

local function add_used(name, amount)
  used[name] = used_of(name) + amount
  changed[name] = true
end

local function gate(name)
  if gates[name] then return gates[name] end
  local kind, of = string.match(name, '^(%a+)|?(.*)$')
  local found = { name = name }
  gates[name] = found
  if policy.empty or kind ~= 'queue' and of == '' then return found end
  local every = kind .. '|*'
  local asked = redis.call('HMGET', POLICY, 'limit|' .. name, 'limit|' .. every, 'rate|' .. name, 'rate|' .. every)
  found.most = tonumber(asked[1] or asked[2] or nil)
  local amount, period_ms, burst = string.match(asked[3] or asked[4] or '', '^(%d+) (%d+) (%d+)$')
  if amount then
    found.step, found.burst = math.ceil(period_ms * 1000 / amount), tonumber(burst)
    found.full = tonumber(redis.call('ZSCORE', RATES, name) or policy.since + burst * found.step)
  end
  return found
end

-- When a gate lets a lease through, in microseconds: 0 for now, nil for when a lease ends.
local function opens(name)
  local found = gate(name)
  if found.most and used_of(name) >= found.most then return nil end
  if not found.step then return 0 end
  local token = found.full - (found.burst - 1) * found.step
  return token > clock and token or 0
end

-- Whether what a class needs is within the tenant's quotas.
local function within_quota(tenant, class)
  if policy.empty or tenant == '' then return true end
  for resource, amount in pairs(class.needs) do
    local asked = redis.call('HMGET', POLICY, 'quota|' .. tenant .. '|' .. resource, 'quota|*|' .. resource)
    local quota = asked[1] or asked[2]
    if quota and used_of('tenant|' .. tenant .. '|' .. resource) + amount > math.floor(quota * 1000 + 0.5) then return false end
  end
  return true
end

local function gates_of(job_type, tenant, key)
  local known_as = job_type .. '|' .. tenant .. '|' .. key
  local names = gate_lists[known_as]
  if not names then
    names = { 'queue', 'type|' .. job_type, 'tenant|' .. tenant, key ~= '' and 'key|' .. key or nil }
    gate_lists[known_as] = names
    read_used(names)
  end
  return names
end

-- A lease that counts, or with -1 does so no longer.
local function count(job_type, tenant, key, class, one)
  for _, name in ipairs(gates_of(job_type, tenant, key)) do add_used(name, one) end
  for resource, amount in pairs(class.needs) do add_used('tenant|' .. tenant .. '|' .. resource, one * amount) end
end

local function take_tokens(job_type, tenant, key)
  if policy.empty then return end
  for _, name in ipairs(gates_of(job_type, tenant, key)) do
    local found = gate(name)
    if found.step then
      found.full = math.max(found.full, clock) + found.step
      found.taken = true
    end
  end
end

-- How many tokens are there, at most `most`.
local function tokens(name, most)
  local found = gate(name)
  if not found.step then return most end
  return math.min(most, math.floor((clock - math.max(found.full, clock)) / found.step) + found.burst)
end

-- To be asked again when its token is there.
local function resume_at(name, time) redis.call('ZADD', RESUME, math.ceil(time / 1000), name) end

-- Writes what has changed; full buckets are as good as none.
local function write_limits()
  local left, gone = {}, {}
  for name in pairs(changed) do
    if used[name] > 0 then
      left[#left + 1] = name
      left[#left + 1] = string.format('%.0f', used[name])
    else
      gone[#gone + 1] = name
    end
  end
  call_all('HSET', USED, left)
  call_all('HDEL', USED, gone)
  for name, found in pairs(gates) do
    if found.taken then redis.call('ZADD', RATES, string.format('%.0f', found.full), name) end
  end
  if next(changed) and not policy.empty then redis.call('ZREMRANGEBYSCORE', RATES, '-inf', string.format('%.0f', clock)) end
end
