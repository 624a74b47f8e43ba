-- Puts jobs where they belong. ARGV from `first` on, five per job: id, priority, fence, run_at_ms, descriptor. The time of a job that
-- PostgreSQL calls ready is negative: it is not compared with this clock, which may be behind, and would have the job wait.
-- A job whose next lease (fence + 1) is live already is skipped: it is being run.
-- A batch has few different fences and times, so what is made of them is kept: numbers as texts are the dear part of a push.

local PER_JOB = 5
local leases_after, scores = {}, {}

-- The lease that would be taken next.
local function next_lease(at)
  local fence = ARGV[at + 2]
  local suffix = leases_after[fence]
  if not suffix then
    suffix = ':' .. string.format('%.0f', tonumber(fence) + 1)
    leases_after[fence] = suffix
  end
  return ARGV[at] .. suffix
end

-- Where in ARGV the jobs begin that may be put, and how many were given.
local function without_live(first)
  local members, kept = {}, {}
  for at = first, #ARGV, PER_JOB do members[#members + 1] = next_lease(at) end
  local deadlines = redis.call('ZMSCORE', KEYS[6], unpack(members))
  for i = 1, #members do
    if not deadlines[i] then kept[#kept + 1] = first + (i - 1) * PER_JOB end
  end
  return kept, #members
end

local function place(at, now)
  local priority, run_at = ARGV[at + 1], ARGV[at + 3]
  local time = tonumber(run_at)
  if time > now then return 5, run_at end
  if time < 0 then time = -time end
  local known = priority .. ':' .. run_at
  if not scores[known] then scores[known] = score(tonumber(priority), time) end
  return band(tonumber(priority)), scores[known]
end

local function put(kept, now)
  local additions, hash, scheduled = {}, {}, 0
  for _, at in ipairs(kept) do
    local id = ARGV[at]
    hash[#hash + 1] = id
    hash[#hash + 1] = ARGV[at + 4]
    local key, value = place(at, now)
    append(additions, key, value, id)
    if key == 5 then scheduled = scheduled + 1 end
  end
  if #hash > 0 then redis.call('HSET', KEYS[7], unpack(hash)) end
  add_all(additions)
  return #kept - scheduled, scheduled
end
