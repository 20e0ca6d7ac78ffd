#!lua flags=allow-oom
-- Tells a lane how a call has ended: settles the call's tokens, and opens, holds or narrows the lane.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state, 4 BullMQ's meta hash of the lane,
--       5 its list of active jobs, 6 its waiting jobs by priority
-- ARGV: 1 signal: 'ok' (the provider works), 'throttled' (429), 'overloaded' (503, 529, timeout), 'down' (5xx, no
--         connection), 'stopped' (the account takes no call until someone acts), 'refused' (403) and 'accountRefused'
--         (401, 402: the fault may be the request's or the account's), 'none' (nothing about the provider) or 'unsent' (the
--         provider has not seen the call, which counts for nothing). Of a neutral look, which no window counts:
--         'lookRefused', 'lookAccepted' (it shows that the key is good) or 'lookUnclear'
--       2 when it was admitted, in ms of Redis's clock, 3 tokens estimated, 4 tokens used (-1: unknown),
--       5 how long the provider asks for no call, in ms (-1: it does not say), 6 reason, for people,
--       7 how many calls ended like this, 8 the time from which the call counts, in ms of Redis's clock,
--       9 the most retries that answers earn a lane, 10 the batch of a call that failed, else '',
--       11 when the last of the calls that got a 2xx was admitted, in ms of Redis's clock (-1: none did)
-- Returns { the time until which the lane is held in ms or 0 when it is not, 1 if this call began the hold, now in ms,
--           the time at which the lane is last known to have worked for others, 1 if a neutral look is due }
local limitsKey, stateKey, metaKey, activeKey, waitingKey = unpack(KEYS, 2)
local signal, reason = ARGV[1], ARGV[6]
local grantedAt, estimated, used = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local askedMs, count = tonumber(ARGV[5]), tonumber(ARGV[7])
local countedAt, retryBudget = tonumber(ARGV[8]), tonumber(ARGV[9])
local batch, succeededAt = ARGV[10], tonumber(ARGV[11])

if signal == 'unsent' then
  settle('requests', countedAt, -1)
  used = 0
end
if used >= 0 and settle('tokens', countedAt, used - estimated) and redis.call('HEXISTS', limitsKey, 'tokens') == 1 then
  redis.call('HINCRBY', stateKey, 'tokensOwed', used - estimated)
  if signal == 'ok' then noteGuess(estimated, used, math.max(0, now - countedAt)) end
end

local state = redis.call('HMGET', stateKey, 'heldUntil', 'halfOpen', 'heldAt', 'holds', 'failures', 'width', 'narrowedAt',
  'finding', 'retries', 'closedFrom', 'byBatch', 'failedBatches', 'refusedAt', 'isRefused')
local heldUntil, holds = tonumber(state[1] or 0), tonumber(state[4] or 0)
-- Whether the call was admitted after the hold began: its end says whether the lane may open.
local isProbe = state[2] and grantedAt > tonumber(state[3] or 0)

local function forgetProbe()
  redis.call('HDEL', stateKey, 'probeUntil', 'otherProbeFrom', 'probeBatch')
end

local function open()
  redis.call('HDEL', stateKey, 'heldUntil', 'halfOpen', 'holds', 'reason', 'closedFrom', 'byBatch', 'failedBatches',
    'lookFirst', 'lookUntil', 'isRefused', 'probedAt')
  forgetProbe()
  heldUntil = 0
  -- A provider that refused calls works, and takes them all at once.
  if state[14] then return end
  local most = tonumber(redis.call('HGET', metaKey, 'concurrency') or 50)
  redis.call('HSET', stateKey, 'rampUntil', now + 1000, 'rampMs', math.ceil(1000 / most))
end

-- A lane is closed this long after its first hold, if no call has succeeded since.
local closedAfterMs = 60000
local began = 0
-- A hold by batch lets in a probe of a batch that has not failed: what failed may be the fault of one batch's requests.
local function hold(ms, isByBatch)
  -- A volley's answers come one after another; only the first of them is a new refusal.
  local isNew = grantedAt > tonumber(state[3] or 0)
  if isNew then
    began = 1
    redis.call('HSET', stateKey, 'heldAt', now, 'holds', holds + 1)
    forgetProbe()
  end
  if not isByBatch then
    redis.call('HDEL', stateKey, 'byBatch')
  elseif heldUntil <= now or state[11] then
    redis.call('HSET', stateKey, 'byBatch', 1)
  end
  redis.call('HDEL', stateKey, 'isRefused')
  -- A longer hold is never shortened.
  heldUntil = math.max(heldUntil, now + ms)
  redis.call('HSET', stateKey, 'heldUntil', heldUntil, 'halfOpen', 1, 'reason', reason)
  -- From this time on requests with a fallback go to it rather than wait.
  redis.call('HSETNX', stateKey, 'closedFrom', now + closedAfterMs)
end

local function backoff(firstMs, longestMs)
  return math.min(longestMs, firstMs * 2 ^ math.min(holds, 10))
end

-- AIMD on the calls in flight of all workers together, where the configuration sets no concurrency.
local adaptive = redis.call('HEXISTS', limitsKey, 'concurrency') == 0
local width = tonumber(state[6] or 0)
local function setWidth(value)
  redis.call('HSET', stateKey, 'width', tostring(value))
  if math.floor(value) ~= math.floor(width) then
    redis.call('HSET', metaKey, 'concurrency', math.max(1, math.floor(value)))
  end
end
local function narrow()
  if not adaptive or width == 0 or grantedAt <= tonumber(state[7] or 0) then return end
  -- A probe is alone: its refusal does not say that too many calls were in flight.
  if state[2] then return end
  -- At the first refusal the width has doubled and may be far above the limit; at later ones it is just above it.
  setWidth(math.max(1, math.min(width, redis.call('LLEN', activeKey)) * (state[8] and 0.9 or 0.6)))
  redis.call('HSET', stateKey, 'narrowedAt', now, 'finding', 1)
end

local function probeIntervalMs()
  return tonumber(redis.call('HGET', limitsKey, 'probeIntervalMs'))
end

-- Returns how many batches have calls that failed without a success since, with this one.
local function noteFailedBatch()
  if batch == '' then return 0 end
  local batches, count = withFailedBatch(state[12] or '', batch)
  redis.call('HSET', stateKey, 'failedBatches', batches)
  return count
end

-- Whether no other batch has a job in work or next in line, whose call may soon tell more.
local function isAlone()
  local own = batch .. '-'
  for _, jobs in ipairs({ redis.call('LRANGE', activeKey, 0, 999), redis.call('ZRANGE', waitingKey, 0, 99) }) do
    for _, jobId in ipairs(jobs) do
      if string.sub(jobId, 1, #own) ~= own then return false end
    end
  end
  return true
end

-- How long after the last refusal a lane remembers.
local rememberedMs = 600000
local function forgetRefusals()
  redis.call('HDEL', stateKey, 'refusals', 'refusedFrom', 'refusedAt', 'workedAt', 'acceptedAt', 'lookedAt', 'looksRefused',
    'lookRefusedAt', 'looksMislead', 'wrongHolds')
  if state[2] then return end
  redis.call('HDEL', stateKey, 'failedBatches')
  state[12] = false
end

local workedAt, lookDue = 0, 0
-- What a look has shown counts until the next may be due.
local lookEveryMs = 5000

local function holdRefused(ms)
  hold(ms, true)
  redis.call('HSET', stateKey, 'isRefused', 1, 'closedFrom', now)
end

-- Each time the first probe of such a hold succeeds, the next one takes twice as many batches, refusals and time without a
-- success: the lane has requests that are refused for themselves.
local mostWrongHolds = 4
local function noteWrongHold()
  if not state[14] or holds > 1 then return end
  local wrong = redis.call('HINCRBY', stateKey, 'wrongHolds', 1)
  if wrong > mostWrongHolds then redis.call('HSET', stateKey, 'wrongHolds', mostWrongHolds) end
end

-- A refusal (401, 402, 403) may be about the request, its model or the account. It is about the account, and the lane is
-- held, when calls of two batches are refused without a success between, when a neutral look is refused too, or when
-- three calls are refused and no other batch and no look can tell more.
local function noteRefusal()
  if not state[2] and state[13] and now - tonumber(state[13]) > rememberedMs then forgetRefusals() end
  local refusals = redis.call('HINCRBY', stateKey, 'refusals', 1)
  redis.call('HSETNX', stateKey, 'refusedFrom', now)
  redis.call('HSET', stateKey, 'refusedAt', now)
  local batches = noteFailedBatch()
  local known = redis.call('HMGET', stateKey, 'refusedFrom', 'workedAt', 'acceptedAt', 'lookedAt', 'looksRefused',
    'looksMislead', 'wrongHolds')
  if not known[6] and now - tonumber(known[4] or 0) >= lookEveryMs then
    lookDue = 1
    redis.call('HSET', stateKey, 'lookedAt', now)
  end
  workedAt = tonumber(known[2] or 0)
  local acceptedAt = tonumber(known[3] or 0)
  -- A list of models says nothing of the account's money, nor of a key's right to another route.
  local wrong = tonumber(known[7] or 0)
  local isRow = refusals >= 20 * 2 ^ wrong
  local isAgreed = (batches >= 2 ^ (1 + wrong) or batches >= 2 and isRow)
    and (wrong == 0 or now - workedAt >= 5000 * 2 ^ wrong)
  local isKeyGood = signal == 'refused' and not isAgreed and (wrong > 0 or not isRow)
    and acceptedAt + lookEveryMs >= tonumber(known[1])
  if isKeyGood then workedAt = math.max(workedAt, acceptedAt + lookEveryMs) end
  local isLookRefused = known[5] and true or false
  if isProbe and isKeyGood and not isLookRefused then return open() end
  -- Calls from before the hold say nothing new.
  if state[2] and not isProbe then return end
  if not isProbe and not isLookRefused and not isAgreed and (isKeyGood or refusals < 3 or not isAlone()) then return end
  if isProbe and isLookRefused then
    holdRefused(probeIntervalMs())
    redis.call('HSET', stateKey, 'lookFirst', 1)
  else
    holdRefused(backoff(1000, probeIntervalMs()))
  end
end

-- A neutral look, `GET /models`, has ended. A key may lack the right to list models and yet be good for calls: so after a
-- look that is refused one call finds out, and again after each tenth of them.
local function noteLook()
  redis.call('HDEL', stateKey, 'lookUntil')
  if signal ~= 'lookRefused' then
    redis.call('HDEL', stateKey, 'lookFirst')
    if signal == 'lookAccepted' then
      redis.call('HDEL', stateKey, 'looksRefused', 'lookRefusedAt')
      redis.call('HSET', stateKey, 'acceptedAt', now)
    end
    return
  end
  local looksRefused = redis.call('HINCRBY', stateKey, 'looksRefused', 1)
  redis.call('HDEL', stateKey, 'acceptedAt')
  redis.call('HSET', stateKey, 'lookRefusedAt', now, 'refusedAt', now)
  if redis.call('HEXISTS', stateKey, 'lookFirst') == 1 then
    if looksRefused % 10 == 0 then redis.call('HDEL', stateKey, 'lookFirst') end
    hold(probeIntervalMs(), state[11])
    redis.call('HSET', stateKey, 'isRefused', 1)
  elseif not state[2] then
    holdRefused(1000)
  end
  redis.call('HSET', stateKey, 'closedFrom', now)
end

-- A success ends a row of refusals of calls before it. Only a lane that remembers refusals pays for it.
local function noteSuccess()
  if now - tonumber(state[13]) > rememberedMs then return forgetRefusals() end
  local known = redis.call('HMGET', stateKey, 'refusedFrom', 'workedAt', 'lookRefusedAt')
  redis.call('HSET', stateKey, 'workedAt', math.max(succeededAt, tonumber(known[2] or 0)))
  if known[1] and succeededAt > tonumber(known[1]) then
    redis.call('HDEL', stateKey, 'refusals', 'refusedFrom')
    if not state[2] or isProbe then redis.call('HDEL', stateKey, 'failedBatches') end
  end
  if known[3] and succeededAt > tonumber(known[3]) then
    redis.call('HDEL', stateKey, 'looksRefused', 'lookRefusedAt')
    redis.call('HSET', stateKey, 'looksMislead', 1)
  end
end

if signal == 'ok' then
  if isProbe then
    noteWrongHold()
    open()
  end
  if state[13] and succeededAt >= 0 then noteSuccess() end
  if state[5] then redis.call('HDEL', stateKey, 'failures') end
  if state[9] and tonumber(state[9]) < retryBudget then redis.call('HINCRBY', stateKey, 'retries', count) end
  if adaptive and width > 0 and width < 10000 and redis.call('LLEN', activeKey) >= width / 2 then
    -- Until a first refusal the width doubles with each round of calls; then it grows by one.
    setWidth(width + count * (state[8] and 1 / width or 1))
  end
elseif signal == 'throttled' then
  narrow()
  hold(askedMs >= 0 and askedMs or backoff(500, 4000))
elseif signal == 'stopped' then
  hold(probeIntervalMs())
  redis.call('HSET', stateKey, 'closedFrom', now, 'lookFirst', 1)
elseif signal == 'refused' or signal == 'accountRefused' then
  noteRefusal()
elseif signal == 'lookRefused' or signal == 'lookAccepted' or signal == 'lookUnclear' then
  noteLook()
elseif signal == 'none' or signal == 'unsent' then
  -- After a probe that was given up, another may go.
  if isProbe then forgetProbe() end
elseif signal == 'overloaded' or signal == 'down' then
  if signal == 'overloaded' then narrow() end
  local failures = redis.call('HINCRBY', stateKey, 'failures', 1)
  -- One failure among many may be the request's fault; a row of failures without a success is the provider's.
  if askedMs >= 0 then
    hold(askedMs)
  elseif state[2] or failures >= 20 then
    -- A provider that has just failed is asked again soon, one that fails for longer less often. It is asked every 8 s at
    -- least, so that the lane goes on within 10 s of the provider's return.
    local failingMs = state[10] and now + closedAfterMs - state[10] or 0
    noteFailedBatch()
    hold(math.max(1000, math.min(8000, math.floor(failingMs / 2))), true)
  end
end
return { heldUntil > now and heldUntil or 0, began, now, workedAt, lookDue }
