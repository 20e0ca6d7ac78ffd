#!lua
-- Gives live calls of one tenant their positions in a lane. They stand in one line for each tenant. While batch requests
-- wait too, the lines of live calls together get what live calls may have of the lane, and share it by weight.
-- KEYS: 1 the lane's turn, 2 the lines in the lane, as take-turns.lua and this note them; of BullMQ's jobs in the lane:
--       3 prioritized, 4 waiting, 5 active, 6 delayed
-- ARGV: 1 tenant, 2 number of calls, 3 the tenant's weight, 4 positions of one turn, 5 live calls for each batch request
-- Returns { how many calls go in the present turn, position of the first of these, position of the first of the others,
--           distance between two }, positions and distance as text
local tenant, count, weight, turnLength = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local turn = presentTurn(KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], turnLength)
local now = turn.now

-- A line that ends in the present turn uses only a part of its share: others have the rest.
local own = 'live ' .. tenant
local from, liveWeight, batchWeight, heaviestBatch = now, weight, 0, 0
local lines = redis.call('HGETALL', KEYS[2])
for i = 1, #lines, 2 do
  local name, ofPeriod, ofWeight, lineEnd = lines[i], string.match(lines[i + 1], '^(%S+) (%S+) (%S+)$')
  ofWeight, lineEnd = tonumber(ofWeight), tonumber(lineEnd)
  local used = ofWeight * math.min(1, (lineEnd - now) / turnLength)
  if ofPeriod ~= turn.period or lineEnd <= now then
    redis.call('HDEL', KEYS[2], name)
  elseif name == own then
    from = lineEnd
  elseif string.sub(name, 1, 5) == 'live ' then
    liveWeight = liveWeight + used
  else
    batchWeight, heaviestBatch = batchWeight + used, math.max(heaviestBatch, ofWeight)
  end
end
batchWeight = heaviestBatch > 0 and math.max(batchWeight, heaviestBatch) or 1

-- Jobs of one turn go in the order in which they came. So no tenant may put more than a quarter of its share into the
-- present turn, which another may come to next.
local step = liveWeight / weight / batchWeight / ARGV[5]
local ahead = math.max(0, math.min(count, math.ceil((now + turnLength / 4 - from) / step)))
local restFrom, lineEnd = from + ahead * step, from + ahead * step
if ahead < count then
  restFrom = math.max(restFrom, now + turnLength)
  lineEnd = restFrom + (count - ahead) * step
end
redis.call('HSET', KEYS[2], own, turn.period .. ' ' .. ARGV[3] .. ' ' .. lineEnd)
redis.call('EXPIRE', KEYS[2], 86400)
redis.call('HSET', KEYS[1], 'now', tostring(now), 'last', tostring(math.max(turn.last, lineEnd)), 'period',
  turn.period)
return { ahead, tostring(from), tostring(restFrom), tostring(step) }
