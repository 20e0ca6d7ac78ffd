#!lua flags=allow-oom
-- Notes how an attempt of a delivery has ended. Of those that were delivered, and of those that are dead, each webhook keeps
-- the newest.
-- KEYS: 1 delivery, 2 all deliveries of the webhook, 3 those that are pending, 4 all pending ones of the tenant, 5 those of
--       the new status
-- ARGV: 1 id, 2 round, 3 new status, 4 now in Unix milliseconds, 5 when the next attempt is due, or '', 6 the error as JSON,
--       or '', 7 most deliveries that are kept of a status that ends, 8 seconds for which they are kept, 9 the start of the
--       name of a delivery
-- Returns 'noted', or 'stale' when this round is over
local id, status = ARGV[1], ARGV[3]
local known = redis.call('HMGET', KEYS[1], 'status', 'round')
if known[1] ~= 'pending' or known[2] ~= ARGV[2] then return 'stale' end
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HSET', KEYS[1], 'status', status, 'last', ARGV[4])
if ARGV[5] == '' then redis.call('HDEL', KEYS[1], 'next') else redis.call('HSET', KEYS[1], 'next', ARGV[5]) end
if ARGV[6] == '' then redis.call('HDEL', KEYS[1], 'error') else redis.call('HSET', KEYS[1], 'error', ARGV[6]) end
if status == 'pending' then return 'noted' end
local score = redis.call('ZSCORE', KEYS[2], id) or ARGV[4]
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
redis.call('ZADD', KEYS[5], score, id)
redis.call('EXPIRE', KEYS[1], ARGV[8])
for _, key in ipairs({ KEYS[2], KEYS[5] }) do redis.call('EXPIRE', key, ARGV[8]) end
for _, old in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1 - tonumber(ARGV[7]))) do
  redis.call('ZREM', KEYS[2], old)
  redis.call('ZREM', KEYS[5], old)
  redis.call('DEL', ARGV[9] .. old)
end
return 'noted'
