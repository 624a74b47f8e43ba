-- Puts jobs where they belong. ARGV from `first` on, five per job: id, priority, fence, run_at_ms, descriptor.
-- A job whose next lease (fence + 1) is live already is skipped: it is being run.

local function jobs_in_arguments(first)
  local jobs = {}
  for at = first, #ARGV, 5 do
    jobs[#jobs + 1] = {
      id = ARGV[at],
      priority = tonumber(ARGV[at + 1]),
      fence = tonumber(ARGV[at + 2]),
      run_at = tonumber(ARGV[at + 3]),
      descriptor = ARGV[at + 4],
    }
  end
  return jobs
end

local function without_live(jobs)
  local members, kept = {}, {}
  for i, job in ipairs(jobs) do members[i] = job.id .. ':' .. string.format('%.0f', job.fence + 1) end
  local deadlines = redis.call('ZMSCORE', KEYS[6], unpack(members))
  for i, job in ipairs(jobs) do
    if not deadlines[i] then kept[#kept + 1] = job end
  end
  return kept
end

local function put(jobs, now)
  local additions, hash, ready, scheduled = {}, {}, 0, 0
  for _, job in ipairs(jobs) do
    hash[#hash + 1] = job.id
    hash[#hash + 1] = job.descriptor
    if job.run_at > now then
      append(additions, 5, job.run_at, job.id)
      scheduled = scheduled + 1
    else
      append(additions, band(job.priority), score(job.priority, job.run_at), job.id)
      ready = ready + 1
    end
  end
  if #hash > 0 then redis.call('HSET', KEYS[7], unpack(hash)) end
  add_all(additions)
  return ready, scheduled
end
