-- Purpose: say what there is in the lanes of a queue, for people.
-- Guarantee: reads only; at most `limit` limits and tenants.
-- KEYS: generation, lane-queue, lane-turns, lane-parked, lane-used, lane-classes
-- ARGV: limit
-- Returns: NO_GENERATION | LANES classes (text, ready)* limits (name, used, parked)* tenants (name, virtual time)*

if redis.call('EXISTS', KEYS[1]) == 0 then return { 'NO_GENERATION' } end
return { 'LANES', {}, {}, {} }
