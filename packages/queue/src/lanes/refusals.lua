-- What a lane makes of refusals (401, 402, 403), each of which may be about the request, its model or the account.
-- KEYS: 5 the lane's active jobs, 6 its waiting jobs by priority, both BullMQ's, 7 what the lane remembers of refusals,
--       until ten minutes after the last one:
--   count           refusals without a success since
--   from            when the first of these was
--   workedAt        when the latest call that succeeded was admitted
--   acceptedAt      when a neutral look last showed that the key is good, if none was refused since
--   lookRefusedAt   when one was last refused, if none has shown a good key and no call has succeeded since
--   looksMislead    1 when a call has succeeded in spite of a refused look: no more looks are due
--   wrongHolds      holds for refusals that were wrong, 4 at most
local activeKey, waitingKey, refusalsKey = unpack(KEYS, 5)

-- Neutral looks for refusals are this far apart, and what one has shown counts until the next may be due.
local lookEveryMs = 5000
-- A key may lack the right to list models and yet be good for calls: so after this many refused looks a call finds out.
local looksBeforeCall = 10
local mostWrongHolds = 4

-- The next probe waits for neutral looks.
local function lookFirst()
  redis.call('HSET', stateKey, 'looksLeft', looksBeforeCall)
end

local function remember(lane, field, value)
  redis.call('HSET', refusalsKey, field, value)
  redis.call('PEXPIRE', refusalsKey, 600000 + math.max(0, lane.heldUntil - now))
end

-- Who else has a job at work or waiting in the lane, whose call may tell more: 'tenant', or 'source' when all are of
-- this source's tenant, or nil. Refused jobs come back to the front of those that wait, so it looks at both ends.
local function othersThan(source)
  local tenant, batch = string.match(source, '^(.-)/(.*)$')
  -- BullMQ keeps a job beside its lists. Its name begins with its source (lane-turns.ts).
  local jobPrefix = string.sub(activeKey, 1, -1 - #'active')
  local others, seen = nil, {}
  for _, jobIds in ipairs({
    redis.call('LRANGE', activeKey, 0, 999),
    redis.call('ZRANGE', waitingKey, 0, 499),
    redis.call('ZRANGE', waitingKey, -500, -1),
  }) do
    for _, jobId in ipairs(jobIds) do
      -- The id of a job is '<batch>-<index>'.
      local jobBatch = string.match(jobId, '^(.*)%-')
      if jobBatch ~= batch and not seen[jobBatch] then
        seen[jobBatch] = true
        local other = redis.call('HGET', jobPrefix .. jobId, 'name')
        other = other and string.match(other, '^%S+')
        if other and other ~= source then
          if string.sub(other, 1, #tenant + 1) ~= tenant .. '/' then return 'tenant' end
          others = 'source'
        end
      end
    end
  end
  return others
end

-- Whether so many sources are refused that the account must be the cause: sources of as many tenants, where another
-- tenant's requests could tell more. After wrong holds it takes more of them, and a time without a success.
local function isAgreed(lane, source, needed, wrong, workedAt)
  local sources, tenants = countSources(lane.failedSources)
  if sources < needed or wrong > 0 and now - workedAt < 5000 * 2 ^ wrong then return false end
  return tenants >= needed or othersThan(source) ~= 'tenant'
end

-- A call was refused. The lane is held when sources agree, when a neutral look is refused too, or when three calls are
-- refused and no other batch and no look can tell more. A refused probe lengthens only a hold for refusals, or for want
-- of money.
-- Returns the time at which the lane is last known to have worked for others, and 1 if a neutral look is due.
local function noteRefusal(lane, signal, source)
  local count = tonumber(redis.call('HGET', refusalsKey, 'count') or 0) + 1
  redis.call('HSETNX', refusalsKey, 'from', now)
  if count == 1 and not lane.heldFor then lane.failedSources = '' end
  noteFailure(lane, source)
  local known = redis.call('HMGET', refusalsKey, 'from', 'workedAt', 'acceptedAt', 'lookRefusedAt', 'looksMislead',
    'wrongHolds')
  local workedAt, lookDue = tonumber(known[2] or 0), 0
  if not known[5] and now - tonumber(redis.call('HGET', stateKey, 'lookedAt') or 0) >= lookEveryMs then
    lookDue = 1
    redis.call('HSET', stateKey, 'lookedAt', now)
  end
  local keyWasGoodUntil, isLookRefused = tonumber(known[3] or 0) + lookEveryMs, known[4] and true or false
  local wrong = tonumber(known[6] or 0)
  local isRow = count >= 20 * 2 ^ wrong
  local agreed = isAgreed(lane, source, isRow and 2 or 2 ^ (1 + wrong), wrong, workedAt)
  -- A list of models says nothing of the account's money, nor of a key's right to another route.
  local isKeyGood = signal == 'refused' and not agreed and (wrong > 0 or not isRow)
    and keyWasGoodUntil >= tonumber(known[1])
  if isKeyGood then workedAt = math.max(workedAt, keyWasGoodUntil) end

  local isHeldForThis = lane.heldFor == 'refused' or lane.heldFor == 'stopped'
  if lane.heldFor and not lane.isProbe then
    -- A call from before the hold says nothing new.
  elseif lane.isProbe and isKeyGood and not isLookRefused then
    open(lane)
  elseif lane.isProbe and isLookRefused then
    hold(lane, probeIntervalMs(), 'refused')
    lookFirst()
  elseif isHeldForThis or agreed or isLookRefused or not isKeyGood and count >= 3 and not othersThan(source) then
    hold(lane, backoff(lane, 1000, probeIntervalMs()), 'refused')
  elseif lane.isProbe then
    -- It says nothing of what the lane is held for, so the next probe may go.
    forgetProbe()
  end
  remember(lane, 'count', count)
  return workedAt, lookDue
end

-- A neutral look, `GET /models`, has ended.
local function noteLook(lane, signal)
  if signal ~= 'lookRefused' then
    redis.call('HDEL', stateKey, 'looksLeft')
    if signal == 'lookUnclear' then return end
    redis.call('HDEL', refusalsKey, 'lookRefusedAt')
    return remember(lane, 'acceptedAt', now)
  end
  if redis.call('HEXISTS', stateKey, 'looksLeft') == 1 then
    if redis.call('HINCRBY', stateKey, 'looksLeft', -1) == 0 then redis.call('HDEL', stateKey, 'looksLeft') end
    hold(lane, probeIntervalMs(), lane.heldFor == 'stopped' and 'stopped' or 'refused')
  elseif not lane.heldFor then
    hold(lane, 1000, 'refused')
  end
  redis.call('HDEL', refusalsKey, 'acceptedAt')
  remember(lane, 'lookRefusedAt', now)
end

-- A success ends a row of refusals of calls before it. Only a lane that remembers refusals pays for it.
local function noteSuccess(succeededAt)
  if redis.call('EXISTS', refusalsKey) == 0 then return end
  local known = redis.call('HMGET', refusalsKey, 'from', 'workedAt', 'lookRefusedAt')
  redis.call('HSET', refusalsKey, 'workedAt', math.max(succeededAt, tonumber(known[2] or 0)))
  if known[1] and succeededAt > tonumber(known[1]) then redis.call('HDEL', refusalsKey, 'count', 'from') end
  if known[3] and succeededAt > tonumber(known[3]) then
    redis.call('HDEL', refusalsKey, 'lookRefusedAt')
    redis.call('HSET', refusalsKey, 'looksMislead', 1)
  end
end

-- A hold for refusals was wrong when its first probe succeeds, or any while looks have shown a good key: the lane has
-- requests that are refused for themselves. The next such hold takes twice as many sources, refusals and time without a
-- success.
local function noteProbeSuccess(lane)
  if lane.heldFor ~= 'refused' then return end
  local known = redis.call('HMGET', refusalsKey, 'wrongHolds', 'acceptedAt', 'from')
  local keyWasGood = known[2] and tonumber(known[2]) + lookEveryMs >= tonumber(known[3] or 0)
  if lane.holds > 1 and not keyWasGood then return end
  remember(lane, 'wrongHolds', math.min(mostWrongHolds, tonumber(known[1] or 0) + 1))
end
