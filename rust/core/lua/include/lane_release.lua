-- Holds: what a lease counts for, as `tenant|type|key|band|charge|since|class`, from the lease until it is gone for good. HOLDS has them by lease.

local MEAN_OVER = 8
local held = {}

local function hold(lease, job, place, charged)
  held[#held + 1] = lease
  held[#held + 1] = table.concat({ job.tenant, job.type, job.key, place, charged, math.floor(clock / 1000), job.class }, '|')
  count(job.type, job.tenant, job.key, read_class(job.class), 1)
end

local function learn(job_type, ms)
  if policy.order ~= 'shortest' and policy.fair ~= 'time' then return end
  local mean = mean_of(job_type)
  local text = string.format('%.0f', mean and mean + (ms - mean) / MEAN_OVER or ms)
  means[job_type] = tonumber(text)
  redis.call('HSET', MEANS, job_type, text)
end

-- Lets what waits for a gate have `leases` more, if the gate lets that many through; who is to be woken is counted in `woken`.
local function open_gate(name, leases, woken)
  if opens(name) ~= 0 then return end
  local kind, of = string.match(name, '^(%a+)|?(.*)$')
  local unparked = {}
  if kind == 'tenant' then
    unparked = unpark_tenant(of)
  elseif kind == 'key' then
    unparked = unpark_key(of)
  else
    unparked = ready_classes(of)
  end
  for number in pairs(unparked) do add_woken(woken, number, leases) end
end

-- Something may wait for a gate that was full, and for a tenant's or a key's where it is parked.
local function held_back(name)
  if string.match(name, '^tenant|') or string.match(name, '^key|') then return first_of(PARKED, name) ~= nil end
  return opens(name) == nil
end

-- Corrects what was charged beforehand, for each tenant and band at once. What a share is follows from what is held.
local function settle(charges)
  for place, by_tenant in pairs(charges) do
    for tenant, used_up in pairs(by_tenant) do charge(tenant, place, used_up) end
  end
end

-- Gives back what leases hold, if they do. `ended`: their jobs have run to an end, so that their durations are known.
local function release(leases, ended, woken)
  local waited_for, free, gone, charges, now = {}, {}, {}, {}, math.floor(clock / 1000)
  for i, text in ipairs(redis.call('HMGET', HOLDS, unpack(leases))) do
    if text then
      local tenant, job_type, key, place, charged, since, class = unpack(split(text))
      for _, name in ipairs(gates_of(job_type, tenant, key)) do
        if not waited_for[name] and not free[name] then
          -- what nothing waits for now nothing will have waited for at the end
          if held_back(name) then waited_for[name] = 0 else free[name] = true end
        end
        if waited_for[name] then waited_for[name] = waited_for[name] + 1 end
      end
      count(job_type, tenant, key, read_class(class), -1)
      local ms = math.max(0, now - since)
      if ended then learn(job_type, ms) end
      if policy.fair ~= 'jobs' then
        local by_tenant = charges[tonumber(place)] or {}
        by_tenant[tenant] = (by_tenant[tenant] or 0) + ms - charged
        charges[tonumber(place)] = by_tenant
      end
      gone[#gone + 1] = leases[i]
    end
  end
  if #gone == 0 then return end
  settle(charges)
  redis.call('HDEL', HOLDS, unpack(gone))
  for name, given_back in pairs(waited_for) do open_gate(name, given_back, woken) end
end

-- What a call has counted and charged is written once, at its end.
local function write_back()
  call_all('HSET', HOLDS, held)
  write_limits()
  write_tags()
end

-- With nothing in lanes and nothing that counts, all but the policy is forgotten; without one the queue is as any other again.
local function forget_lanes()
  if redis.call('EXISTS', READY, HOLDS) > 0 then return end
  redis.call('DEL', TENANTS, TURNS, CLASSES, USED)
  if redis.call('EXISTS', POLICY, KEYS[5]) > 0 then return end
  redis.call('DEL', RESUME, RATES, MEANS)
  local paused = redis.call('GET', KEYS[1]) == 'paused laned'
  redis.call('SET', KEYS[1], paused and 'paused' or now_ms())
end
