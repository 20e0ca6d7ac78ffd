-- Begins the delivery of an event to a URL, or finds it.
-- KEYS: 1 delivery, 2 all deliveries of the webhook, 3 those that are pending, 4 all pending ones of the tenant
-- ARGV: 1 id, 2 fixed fields as JSON, 3 now in Unix milliseconds, 4 seconds for which it is kept
-- Returns { status, round, how many other deliveries of the tenant are pending }
local status, round = unpack(redis.call('HMGET', KEYS[1], 'status', 'round'))
if not status then
  status, round = 'pending', '1'
  redis.call('HSET', KEYS[1], 'fixed', ARGV[2], 'status', status, 'round', round, 'since', ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  -- Scores rise strictly, so that a page can start after any entry.
  local newest = redis.call('ZRANGE', KEYS[2], 0, 0, 'REV', 'WITHSCORES')
  local score = math.max(tonumber(ARGV[3]), newest[2] and tonumber(newest[2]) + 1 or 0)
  for i = 2, 4 do
    redis.call('ZADD', KEYS[i], string.format('%.0f', score), ARGV[1])
    redis.call('EXPIRE', KEYS[i], ARGV[4])
  end
end
return { status, tonumber(round), math.max(0, redis.call('ZCARD', KEYS[4]) - 1) }
