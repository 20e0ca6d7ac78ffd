#!lua flags=allow-oom
-- Cancels a kept call that is under way.
-- KEYS: 1 record, 2 the tenant's kept calls under way
-- ARGV: 1 call id
-- Returns 1 when this cancelled it, else 0
local status, keepMs = unpack(redis.call('HMGET', KEYS[1], 'status', 'keepMs'))
if status ~= 'queued' and status ~= 'in_progress' then return 0 end
redis.call('HSET', KEYS[1], 'status', 'cancelled')
redis.call('HDEL', KEYS[1], 'apis', 'left')
redis.call('PEXPIRE', KEYS[1], keepMs)
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
