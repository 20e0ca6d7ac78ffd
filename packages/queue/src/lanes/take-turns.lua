#!lua
-- Gives the next requests of a batch their positions in a lane. A tenant's requests stand in one line there, however
-- many batches they are of. A new batch's first requests go ahead of the line, further apart than those in it. The end
-- of the line moves on for these too, so in the long run the tenant gets no more by it.
-- KEYS: 1 the lane's turn, 2 the tenant's line in the lane, 3 the batches in the line, each by the position after its
--       last request; of BullMQ's jobs in the lane: 4 prioritized, 5 waiting, 6 active, 7 delayed
-- ARGV: 1 batch, 2 number of requests, 3 the tenant's weight, 4 positions of one turn, 5 most requests that go ahead, if
--       the batch has none in the line, 6 how many times as far apart these are
-- Returns { how many requests go ahead, position of the first of these, position of the first of the others,
--           how many batches are in the line }, positions as text
local batch, count, step = ARGV[1], tonumber(ARGV[2]), 1 / ARGV[3]
local aheadStep = step * ARGV[6]

-- The present turn never goes back, also when a request with an old position is tried again. So who comes late has no
-- credit for the time before.
local lane = redis.call('HMGET', KEYS[1], 'now', 'last', 'period')
local now, last, period = tonumber(lane[1] or 0), tonumber(lane[2] or 0), lane[3]
local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
if first[1] then
  -- BullMQ's score is the priority in the high and a counter in the low 32 bits.
  now = math.max(now, (math.floor(first[2] / 2 ^ 32) - 2) * ARGV[4])
elseif redis.call('LLEN', KEYS[5]) + redis.call('LLEN', KEYS[6]) + redis.call('ZCARD', KEYS[7]) == 0 then
  -- An idle lane starts again at 0, and what was noted of its lines before means nothing any more.
  now, last, period = 0, 0, nil
else
  now = math.max(now, last)
end

if not period then
  local time = redis.call('TIME')
  period = time[1] .. '.' .. time[2]
end

local line = redis.call('HMGET', KEYS[2], 'period', 'end', 'ahead')
if line[1] ~= period then
  redis.call('DEL', KEYS[2], KEYS[3])
  line = {}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local lineEnd, aheadFrom = math.max(now, tonumber(line[2] or 0)), math.max(now, tonumber(line[3] or 0))

local ahead = 0
if not redis.call('ZSCORE', KEYS[3], batch) then
  ahead = math.min(count, tonumber(ARGV[5]))
  if aheadFrom + ahead * aheadStep > lineEnd then ahead = 0 end
end
local from = lineEnd + ahead * step
lineEnd = lineEnd + count * step
local aheadEnd = aheadFrom + ahead * aheadStep
local ownEnd = ahead == count and aheadEnd or lineEnd

redis.call('HSET', KEYS[1], 'now', tostring(now), 'last', tostring(math.max(last, ownEnd)), 'period', period)
redis.call('HSET', KEYS[2], 'period', period, 'end', tostring(lineEnd), 'ahead', tostring(aheadEnd))
redis.call('ZADD', KEYS[3], ownEnd, batch)
-- A line that nobody comes to for a day is forgotten.
redis.call('EXPIRE', KEYS[2], 86400)
redis.call('EXPIRE', KEYS[3], 86400)
return { ahead, tostring(aheadFrom), tostring(from), redis.call('ZCARD', KEYS[3]) }
