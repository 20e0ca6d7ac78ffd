#!lua
-- Gives the next requests of a batch their positions in a lane. A tenant's requests stand in one line there, however
-- many batches they are of. Two rows of requests run ahead of the line's end, further apart than those in it: the first
-- requests of new batches, and the next requests of batches that have not come to the line's end yet. The end moves on
-- for each request, wherever it stands, so in the long run the tenant gets no more by the rows.
-- KEYS: 1 the lane's turn, 2 the tenant's line in the lane; the tenant's batches by the position after their last request
--       in the lane: 3 those at the line's end, 4 those ahead of it; of BullMQ's jobs in the lane: 5 prioritized,
--       6 waiting, 7 active, 8 delayed; 9 the lines in the lane
-- ARGV: 1 batch, 2 number of requests, 3 the tenant's weight, 4 positions of one turn, 5 most requests in the first row,
--       if the batch has none in the lane, 6 and 7 how many times as far apart the first row's and the next row's are
-- Returns { how many batches have requests in the lane, 1 if this one is ahead, the positions as text }
local batch, count, step = ARGV[1], tonumber(ARGV[2]), 1 / ARGV[3]
local turn = presentTurn(KEYS[1], KEYS[5], KEYS[6], KEYS[7], KEYS[8], ARGV[4])

local line = redis.call('HMGET', KEYS[2], 'period', 'end', 'first', 'next')
if line[1] ~= turn.period then
  -- What was noted before the lane was idle means nothing any more.
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
  line = {}
end
for _, key in ipairs({ KEYS[3], KEYS[4] }) do redis.call('ZREMRANGEBYSCORE', key, '-inf', turn.now) end
local function notPast(position) return math.max(turn.now, tonumber(position or 0)) end
local lineEnd, firstRow, nextRow = notPast(line[2]), notPast(line[3]), notPast(line[4])
local behind, ahead = redis.call('ZSCORE', KEYS[3], batch), redis.call('ZSCORE', KEYS[4], batch)
local own = notPast(ahead or behind)
local mostFirst = (ahead or behind) and 0 or math.min(count, tonumber(ARGV[5]))

local positions = {}
local function place(from, spacing, most)
  for i = 0, most - 1 do positions[#positions + 1] = tostring(from + i * spacing) end
  own = from + most * spacing
  lineEnd = lineEnd + most * step
end

-- Returns where the row ends then. What would reach beyond the line's end goes there instead.
local function placeAhead(row, spacing, most)
  -- Inside a batch, order is kept.
  local from = math.max(row, own)
  if most == 0 or from + most * spacing > lineEnd then return row end
  place(from, spacing, most)
  return own
end

firstRow = placeAhead(firstRow, step * ARGV[6], mostFirst)
if ahead or #positions > 0 then nextRow = placeAhead(nextRow, step * ARGV[7], count - #positions) end
local isAhead = #positions == count
if not isAhead then place(lineEnd, step, count - #positions) end

redis.call('HSET', KEYS[1], 'now', tostring(turn.now), 'last', tostring(math.max(turn.last, own)), 'period', turn.period)
redis.call('HSET', KEYS[2], 'period', turn.period, 'end', tostring(lineEnd), 'first', tostring(firstRow),
  'next', tostring(nextRow))
redis.call('ZADD', KEYS[isAhead and 4 or 3], own, batch)
redis.call('ZREM', KEYS[isAhead and 3 or 4], batch)
-- For take-live-turns.lua: what live calls may have depends on how many lines of batch requests there are.
redis.call('HSET', KEYS[9], KEYS[2], turn.period .. ' ' .. ARGV[3] .. ' ' .. lineEnd)
redis.call('EXPIRE', KEYS[9], 86400)
-- A line that nobody comes to for a day is forgotten.
for i = 2, 4 do redis.call('EXPIRE', KEYS[i], 86400) end
return { redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]), isAhead and 1 or 0, positions }
