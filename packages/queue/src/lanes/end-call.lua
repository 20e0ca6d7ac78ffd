#!lua flags=allow-oom
-- Tells a lane how a call has ended: settles the call's tokens, and opens, holds or narrows the lane.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state, 4 BullMQ's meta hash of the lane,
--       5 its list of active jobs
-- ARGV: 1 signal: 'ok' (the provider works), 'throttled' (429), 'overloaded' (503, 529, timeout), 'down' (5xx, no
--         connection), 'stopped' (no call succeeds until someone acts), 'none' (nothing about the provider) or 'unsent'
--         (the provider has not seen the call, which counts for nothing)
--       2 when it was admitted, in ms of Redis's clock, 3 tokens estimated, 4 tokens used (-1: unknown),
--       5 how long the provider asks for no call, in ms (-1: it does not say), 6 reason, for people,
--       7 how many calls ended like this, 8 the time from which the call counts, in ms of Redis's clock,
--       9 the most retries that answers earn a lane
-- Returns { the time until which the lane is held in ms or 0 when it is not, 1 if this call began the hold }
local limitsKey, stateKey, metaKey, activeKey = unpack(KEYS, 2)
local signal, reason = ARGV[1], ARGV[6]
local grantedAt, estimated, used = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local askedMs, count = tonumber(ARGV[5]), tonumber(ARGV[7])
local countedAt, retryBudget = tonumber(ARGV[8]), tonumber(ARGV[9])

if signal == 'unsent' then
  settle('requests', countedAt, -1)
  used = 0
end
if used >= 0 and settle('tokens', countedAt, used - estimated) and redis.call('HEXISTS', limitsKey, 'tokens') == 1 then
  redis.call('HINCRBY', stateKey, 'tokensOwed', used - estimated)
  if signal == 'ok' then noteGuess(estimated, used, math.max(0, now - countedAt)) end
end

local state = redis.call('HMGET', stateKey, 'heldUntil', 'halfOpen', 'heldAt', 'holds', 'failures', 'width', 'narrowedAt',
  'finding', 'retries', 'closedFrom')
local heldUntil, holds = tonumber(state[1] or 0), tonumber(state[4] or 0)

-- A lane is closed this long after its first hold, if no call has succeeded since.
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

if signal == 'ok' then
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
elseif signal == 'throttled' then
  narrow()
  hold(askedMs >= 0 and askedMs or backoff(500, 4000))
elseif signal == 'stopped' then
  hold(tonumber(redis.call('HGET', limitsKey, 'probeIntervalMs')))
  redis.call('HSET', stateKey, 'closedFrom', now)
elseif signal == 'none' or signal == 'unsent' then
  -- After a probe that was given up, another may go.
  if state[2] and grantedAt > tonumber(state[3] or 0) then redis.call('HDEL', stateKey, 'probeUntil') end
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
    hold(math.max(1000, math.min(8000, math.floor(failingMs / 2))))
  end
end
return { heldUntil > now and heldUntil or 0, began }
