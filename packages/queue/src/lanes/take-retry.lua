#!lua flags=allow-oom
-- Takes a retry from a lane's budget. Each answer earns one, so that retries never more than double the calls. A lane
-- without answers still allows one a second, or nothing would find out that its provider is back.
-- KEYS: 1 state
-- ARGV: 1 retries a lane may make before it has had an answer
-- Returns 0 when the retry may be made, else the ms after which to ask again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', KEYS[1], 'retries', ARGV[1])
if redis.call('HINCRBY', KEYS[1], 'retries', -1) >= 0 then return 0 end
redis.call('HSET', KEYS[1], 'retries', 0)
local nextAt = tonumber(redis.call('HGET', KEYS[1], 'nextRetryAt') or 0)
if nextAt > now then return nextAt - now end
redis.call('HSET', KEYS[1], 'nextRetryAt', now + 1000)
return 0
