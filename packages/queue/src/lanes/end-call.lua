#!lua flags=allow-oom
-- Tells a lane how a call it let in has ended: settles its tokens, and opens, holds or narrows the lane.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state, 4 BullMQ's meta hash of the lane,
--       5 its list of active jobs
-- ARGV: 1 outcome: 'ok' (the provider works), 'throttled' (429), 'overloaded' (503, 529, timeout), 'down' (5xx, no
--         connection), 'stopped' (nothing will work until someone acts), 'none' (says nothing of the provider) or 'unsent'
--         (the provider has not seen it: it counts for nothing)
--       2 when it was let in, in ms of Redis's clock, 3 tokens estimated, 4 tokens used (-1: unknown),
--       5 how long the provider asks to be left alone in ms (-1: it does not say), 6 reason, for people,
--       7 how many calls ended so, 8 the time from which it counts, in ms of Redis's clock,
--       9 most retries that answers earn a lane
-- Returns { the time until which the lane is held in ms or 0 when it is not, 1 if this call began the hold }
local limitsKey, stateKey, metaKey, activeKey = unpack(KEYS, 2)
local outcome, reason = ARGV[1], ARGV[6]
local grantedAt, estimated, used = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local askedMs, count = tonumber(ARGV[5]), tonumber(ARGV[7])
local countedAt, retryBudget = tonumber(ARGV[8]), tonumber(ARGV[9])

if outcome == 'unsent' then
  settle('requests', countedAt, -1)
  used = 0
end
if used >= 0 and settle('tokens', countedAt, used - estimated) and redis.call('HEXISTS', limitsKey, 'tokens') == 1 then
  redis.call('HINCRBY', stateKey, 'tokensOwed', used - estimated)
  if outcome == 'ok' then noteGuess(estimated, used, math.max(0, now - countedAt)) end
end

local state = redis.call('HMGET', stateKey, 'heldUntil', 'halfOpen', 'heldAt', 'holds', 'failures', 'width', 'narrowedAt',
  'finding', 'retries', 'closedFrom')
local heldUntil, holds = tonumber(state[1] or 0), tonumber(state[4] or 0)

-- So long after the first hold without a success, a lane is closed.
local closedAfterMs = 60000
local began = 0
local function hold(ms)
  -- A volley's answers come one after another; only the first of them is a new refusal.
  local isNew = grantedAt > tonumber(state[3] or 0)
  if isNew then
    began = 1
    redis.call('HSET', stateKey, 'heldAt', now, 'holds', holds + 1)
    redis.call('HDEL', stateKey, 'probeUntil')
  end
  -- A longer hold is never shortened.
  heldUntil = math.max(heldUntil, now + ms)
  redis.call('HSET', stateKey, 'heldUntil', heldUntil, 'halfOpen', 1, 'reason', reason)
  -- From this time on requests with a fallback go there rather than wait.
  redis.call('HSETNX', stateKey, 'closedFrom', now + closedAfterMs)
end

local function backoff(firstMs, longestMs)
  return math.min(longestMs, firstMs * 2 ^ math.min(holds, 10))
end

-- AIMD on the calls in flight of the whole fleet, where the configuration sets no limit of its own.
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
  -- A probe is alone: its refusal does not say that there were too many.
  if state[2] then return end
  -- The first refusal ends a growth that doubles and may be far above the limit; later ones are just above it.
  setWidth(math.max(1, math.min(width, redis.call('LLEN', activeKey)) * (state[8] and 0.9 or 0.6)))
  redis.call('HSET', stateKey, 'narrowedAt', now, 'finding', 1)
end

if outcome == 'ok' then
  if state[2] and grantedAt > tonumber(state[3] or 0) then
    redis.call('HDEL', stateKey, 'heldUntil', 'halfOpen', 'probeUntil', 'holds', 'reason', 'closedFrom')
    heldUntil = 0
    local most = tonumber(redis.call('HGET', metaKey, 'concurrency') or 50)
    redis.call('HSET', stateKey, 'rampUntil', now + 1000, 'rampMs', math.ceil(1000 / most))
  end
  if state[5] then redis.call('HDEL', stateKey, 'failures') end
  if state[9] and tonumber(state[9]) < retryBudget then redis.call('HINCRBY', stateKey, 'retries', count) end
  if adaptive and width > 0 and width < 10000 and redis.call('LLEN', activeKey) >= width / 2 then
    -- Until a first refusal the width doubles with each round of calls; then it grows by one.
    setWidth(width + count * (state[8] and 1 / width or 1))
  end
elseif outcome == 'throttled' then
  narrow()
  hold(askedMs >= 0 and askedMs or backoff(500, 4000))
elseif outcome == 'stopped' then
  hold(tonumber(redis.call('HGET', limitsKey, 'probeIntervalMs')))
  redis.call('HSET', stateKey, 'closedFrom', now)
elseif outcome == 'none' or outcome == 'unsent' then
  -- A probe that was given up leaves its place to another.
  if state[2] and grantedAt > tonumber(state[3] or 0) then redis.call('HDEL', stateKey, 'probeUntil') end
elseif outcome == 'overloaded' or outcome == 'down' then
  if outcome == 'overloaded' then narrow() end
  local failures = redis.call('HINCRBY', stateKey, 'failures', 1)
  -- One failure in many is the request's own matter; a row of them without a success between is the endpoint's.
  if askedMs >= 0 then
    hold(askedMs)
  elseif state[2] or failures >= 20 then
    -- A provider that has just failed is asked again soon, one that fails for longer less often. It is asked every 8 s at
    -- least, so that the lane goes on within 10 s of the provider's return.
    local failingMs = state[10] and now + closedAfterMs - state[10] or 0
    hold(math.max(1000, math.min(8000, math.floor(failingMs / 2))))
  end
end
return { heldUntil > now and heldUntil or 0, began }
