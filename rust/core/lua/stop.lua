-- Purpose: ask the worker that runs a job to stop it.
-- Guarantee: told at once by its inbox, and again by its next beat if that was missed; the mark expires by itself.
-- KEYS: generation, cancelled
-- ARGV: member, inbox_channel, message, keep_ms
-- Returns: NO_GENERATION | ASKED receivers

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return { 'ASKED', redis.call('PUBLISH', ARGV[2], ARGV[3]) }
