#!lua flags=allow-oom
-- Tells a worker whether it may call the provider for a kept call.
-- KEYS: 1 record
-- ARGV: 1 how many fallbacks the worker's job has left
-- Returns 'run', 'settled' (it has its answer), 'moved' (it has gone on to a fallback) or 'dropped' (nobody wants it)
local status, left = unpack(redis.call('HMGET', KEYS[1], 'status', 'left'))
if not status or status == 'cancelled' then return 'dropped' end
if status == 'answered' then return 'settled' end
if tonumber(ARGV[1]) > tonumber(left) then return 'moved' end
redis.call('HSET', KEYS[1], 'status', 'in_progress', 'left', ARGV[1])
return 'run'
