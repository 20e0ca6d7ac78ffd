#!lua
-- Gives live calls of one tenant their positions in a lane. They stand in one line for each tenant, and the lines share
-- what live calls may have of the lane while batch requests wait.
-- KEYS: 1 the lane's turn, 2 the ends of the tenants' lines of live calls; of BullMQ's jobs in the lane: 3 prioritized,
--       4 waiting, 5 active, 6 delayed
-- ARGV: 1 tenant, 2 number of calls, 3 the tenant's weight, 4 positions of one turn, 5 live calls for each batch request
-- Returns the position of the first call and the distance to the next, as text
local tenant, count = ARGV[1], tonumber(ARGV[2])
local lane = redis.call('HMGET', KEYS[1], 'now', 'last', 'period')
local now, last, period = tonumber(lane[1] or 0), tonumber(lane[2] or 0), lane[3]
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if first[1] then
  now = math.max(now, (math.floor(first[2] / 2 ^ 32) - 2) * ARGV[4])
elseif redis.call('LLEN', KEYS[4]) + redis.call('LLEN', KEYS[5]) + redis.call('ZCARD', KEYS[6]) == 0 then
  now, last, period = 0, 0, nil
  redis.call('DEL', KEYS[2])
else
  now = math.max(now, last)
end
if not period then
  local time = redis.call('TIME')
  period = time[1] .. '.' .. time[2]
end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local from = tonumber(redis.call('ZSCORE', KEYS[2], tenant) or now)
local others = redis.call('ZCARD', KEYS[2]) - (from > now and 1 or 0)
local step = (others + 1) / ARGV[5] / ARGV[3]
local lineEnd = from + count * step
redis.call('ZADD', KEYS[2], lineEnd, tenant)
redis.call('EXPIRE', KEYS[2], 86400)
redis.call('HSET', KEYS[1], 'now', tostring(now), 'last', tostring(math.max(last, lineEnd)), 'period', period)
return { tostring(from), tostring(step) }
