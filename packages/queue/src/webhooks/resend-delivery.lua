-- Begins another round of a delivery that has ended. One that is pending stays as it is.
-- KEYS: 1 delivery, 2 all deliveries of the webhook, 3 those that are pending, 4 all pending ones of the tenant, 5 those that
--       were delivered, 6 those that are dead
-- ARGV: 1 id, 2 now in Unix milliseconds, 3 seconds for which it is kept
-- Returns { round, how many other deliveries of the tenant are pending }, or nil when there is no such delivery
local status, round = unpack(redis.call('HMGET', KEYS[1], 'status', 'round'))
if not status then return nil end
if status ~= 'pending' then
  round = redis.call('HINCRBY', KEYS[1], 'round', 1)
  redis.call('HSET', KEYS[1], 'status', 'pending', 'since', ARGV[2], 'next', ARGV[2], 'attempts', 0)
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('ZREM', KEYS[5], ARGV[1])
  redis.call('ZREM', KEYS[6], ARGV[1])
  local score = redis.call('ZSCORE', KEYS[2], ARGV[1]) or ARGV[2]
  for i = 2, 4 do
    redis.call('ZADD', KEYS[i], score, ARGV[1])
    redis.call('EXPIRE', KEYS[i], ARGV[3])
  end
end
return { tonumber(round), math.max(0, redis.call('ZCARD', KEYS[4]) - 1) }
