-- Puts a lane's limits in force: those that an admin has changed, and else the configured ones.
-- KEYS: 1 limits in force, 2 configured limits, 3 changed limits, 4 state, 5 BullMQ's meta hash of the lane, for a deployment
--       its own
local limitsKey, configuredKey, changedKey, stateKey, metaKey = unpack(KEYS)

-- Returns 1 if tokens are limited.
local function applyLimits()
  redis.call('DEL', limitsKey)
  for _, key in ipairs({ configuredKey, changedKey }) do
    local limits = redis.call('HGETALL', key)
    if #limits > 0 then redis.call('HSET', limitsKey, unpack(limits)) end
  end
  local concurrency = redis.call('HGET', limitsKey, 'concurrency')
  if concurrency then
    redis.call('HDEL', stateKey, 'width', 'narrowedAt')
  else
    redis.call('HSETNX', stateKey, 'width', redis.call('HGET', limitsKey, 'startWidth'))
    concurrency = math.floor(redis.call('HGET', stateKey, 'width'))
  end
  redis.call('HSET', metaKey, 'concurrency', concurrency)
  return redis.call('HEXISTS', limitsKey, 'tokens')
end
