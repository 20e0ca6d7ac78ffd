-- The calls in flight of a deployment, which BullMQ cannot count: it counts the jobs of a lane. `callsKey` is a hash with
-- the calls of each process, and until when these count, in ms of Redis's clock: those of a dead process end then.
local callsLastMs = 10000

local function noteCalls(callsKey, process, count)
  if count > 0 then
    redis.call('HSET', callsKey, process, count .. ' ' .. now + callsLastMs)
  else
    redis.call('HDEL', callsKey, process)
  end
end

local function countCalls(callsKey)
  local sum, known = 0, redis.call('HGETALL', callsKey)
  for i = 1, #known, 2 do
    local count, untilMs = string.match(known[i + 1], '^(%d+) (%d+)$')
    if tonumber(untilMs) > now then sum = sum + count else redis.call('HDEL', callsKey, known[i]) end
  end
  return sum
end
