-- How ready jobs stand behind each other. An order says of a job in which band it stands (1 is the first) and where in it, the lowest first; ids break
-- ties, and rise with time. What it says changes who is next, never who may run. Another order is another function here and its name in policy.rs.

local LATEST = 4000000000000000

local orders = {
  -- strict priority, then first in first out
  priority = function(job) return band(job.priority) - 1, (5 - job.priority) * 35184372088832 + job.run_at end,
  -- a priority is worth `ageing_ms` of waiting: a job of priority p is passed only by what became ready within (5 - p) * ageing_ms after it
  ageing = function(job) return 1, job.run_at + (5 - job.priority) * policy.ageing_ms end,
  -- earliest deadline first; what has none comes last, first in first out
  deadline = function(job) return 1, job.deadline > 0 and job.deadline or LATEST + job.run_at end,
  -- shortest predicted first; the time of becoming ready in the sum is its ageing
  shortest = function(job) return 1, job.run_at + (mean_of(job.type) or 0) * policy.shortest_factor end,
}

-- Whether a job stands in a lane: else it stands in its band as in a queue without lanes.
local function stands_in_lane(job) return job.laned or policy.order ~= 'priority' or policy.limited[job.type] end
