-- The present turn of a lane, which never goes back, also when a request with an old position is tried again. So who
-- comes late has no credit for the time before. It goes back to 0 when the lane is idle.
-- Keys: the lane's turn; of BullMQ's jobs in the lane: prioritized, waiting, active, delayed
-- Returns { now, last: the highest position that was given, period: changes when the lane has been idle }
local function presentTurn(turnKey, prioritizedKey, waitingKey, activeKey, delayedKey, positionsOfTurn)
  local lane = redis.call('HMGET', turnKey, 'now', 'last', 'period')
  local now, last, period = tonumber(lane[1] or 0), tonumber(lane[2] or 0), lane[3]
  local first = redis.call('ZRANGE', prioritizedKey, 0, 0, 'WITHSCORES')
  if first[1] then
    -- BullMQ's score is the priority in the high and a counter in the low 32 bits. A batch request's priority is the
    -- number of its turn plus 2 (lane-turns.ts).
    now = math.max(now, (math.floor(first[2] / 2 ^ 32) - 2) * positionsOfTurn)
  elseif redis.call('LLEN', waitingKey) + redis.call('LLEN', activeKey) + redis.call('ZCARD', delayedKey) == 0 then
    now, last, period = 0, 0, nil
  else
    now = math.max(now, last)
  end
  if not period then
    local time = redis.call('TIME')
    period = time[1] .. '.' .. time[2]
  end
  return { now = now, last = last, period = period }
end
