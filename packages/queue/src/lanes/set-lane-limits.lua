#!lua flags=allow-oom
-- Sets a lane's limits, from its next call on.
-- KEYS: 1 limits, 2 state, 3 BullMQ's meta hash of the lane
-- ARGV: 1 calls in flight at the start where no concurrency is set, then field and value pairs: concurrency, requests,
--       windowMs, tokens, and always probeIntervalMs, the pause between probes of a provider that takes no call
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
local concurrency = redis.call('HGET', KEYS[1], 'concurrency')
if concurrency then
  redis.call('HDEL', KEYS[2], 'width', 'narrowedAt')
else
  redis.call('HSETNX', KEYS[2], 'width', ARGV[1])
  concurrency = math.floor(redis.call('HGET', KEYS[2], 'width'))
end
redis.call('HSET', KEYS[3], 'concurrency', concurrency)
