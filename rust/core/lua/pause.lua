-- Purpose: lease nothing of the queue any more, or again.
-- Guarantee: nothing is leased after it; what is leased goes on. Nobody is entered as idle while it is paused, so nobody is woken for it.
--   With `building` a queue that is not built yet is declared built, and paused from the first moment.
-- KEYS: generation, idle, lane-policy, lane-tenants, lane-holds, lane-idle
-- ARGV: paused (1 or 0), building (1 or 0)
-- Returns: NO_GENERATION | PAUSED changed

local built = redis.call('GET', KEYS[1])
if not built and ARGV[2] == '0' then return { 'NO_GENERATION' } end
local paused, wanted = built == 'paused' or built == 'paused laned', ARGV[1] == '1'
if built and paused == wanted then return { 'PAUSED', 0 } end
local laned = is_laned(built) or not built and redis.call('EXISTS', KEYS[3], KEYS[4], KEYS[5]) > 0
local plain = wanted and 'paused' or now_ms()
redis.call('SET', KEYS[1], laned and (wanted and 'paused laned' or 'laned') or plain)
if wanted then
  redis.call('ZPOPMAX', KEYS[2], redis.call('ZCARD', KEYS[2]))
  redis.call('DEL', KEYS[6])
end
return { 'PAUSED', 1 }
