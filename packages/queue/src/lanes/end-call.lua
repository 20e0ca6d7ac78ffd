#!lua flags=allow-oom
-- Tells a lane how a call has ended: settles the call's tokens, and opens, holds or narrows the lane.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state (lane-state.lua), 4 BullMQ's meta hash of the
--       lane, 5 its list of active jobs, 6 its waiting jobs by priority, 7 what the lane remembers of refusals
--       (refusals.lua), 8 its latest errors: each reason with the time of its last; for a deployment 4 its own hash in
--       place of BullMQ's, 9 its calls in flight (deployment-calls.lua), and what it shares with the others of its lane:
--       10 ledger, 11 limits, 12 state
-- ARGV: 1 signal: 'ok' (the provider works), 'throttled' (429), 'overloaded' (503, 529, timeout), 'down' (5xx, no
--         connection), 'stopped' (the account takes no call until someone acts), 'refused' (403) and 'accountRefused'
--         (401, 402: the fault may be the request's or the account's), 'none' (nothing about the provider) or 'unsent' (the
--         provider has not seen the call, which counts for nothing). Of a neutral look, which no window counts:
--         'lookRefused', 'lookAccepted' (it shows that the key is good) or 'lookUnclear'
--       2 when it was admitted, in ms of Redis's clock, 3 tokens estimated, 4 tokens used (-1: unknown),
--       5 how long the provider asks for no call, in ms (-1: it does not say), 6 reason, for people,
--       7 how many calls ended like this, 8 the time from which the call counts, in ms of Redis's clock,
--       9 the most retries that answers earn a lane, 10 the source of a call that failed, else '',
--       11 when the last of the calls that got a 2xx was admitted, in ms of Redis's clock (-1: none did),
--       12 how many requests each call was for
-- Returns { the time until which the lane is held in ms or 0 when it is not, 1 if this call began the hold, now in ms,
--           the time at which the lane is last known to have worked for others, 1 if a neutral look is due }
local errorsKey, callsKey = KEYS[8], KEYS[9]
local signal, source = ARGV[1], ARGV[10]
local grantedAt, estimated, used = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local askedMs, count = tonumber(ARGV[5]), tonumber(ARGV[7])
local countedAt, retryBudget, succeededAt = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[11])
local requestsPerCall = tonumber(ARGV[12])
-- The width of a deployment counts calls, that of a lane requests, as BullMQ does.
local widthPerCall = callsKey and 1 or requestsPerCall

if signal == 'unsent' then used = 0 end
local function settleIn(ledger, limits, state)
  if signal == 'unsent' then settle(ledger, 'requests', countedAt, -1) end
  if used >= 0 and settle(ledger, 'tokens', countedAt, used - estimated) and redis.call('HEXISTS', limits, 'tokens') == 1 then
    redis.call('HINCRBY', state, 'tokensOwed', used - estimated)
    if signal == 'ok' then noteGuess(ledger, estimated, used, math.max(0, now - countedAt)) end
  end
end
settleIn(KEYS[1], limitsKey, stateKey)
if callsKey then settleIn(KEYS[10], KEYS[11], KEYS[12]) end

local lane = readLane(grantedAt, ARGV[6])

-- Failures of requests alone are 'ok': they say nothing of the provider.
local isProvidersFault = signal ~= 'ok' and signal ~= 'none' and signal ~= 'unsent'
if isProvidersFault and lane.reason ~= '' then
  redis.call('ZADD', errorsKey, now, lane.reason)
  redis.call('ZREMRANGEBYRANK', errorsKey, 0, -11)
  redis.call('EXPIRE', errorsKey, 86400)
end

-- AIMD on the requests in flight of all workers together, where the configuration sets no concurrency.
local isAdaptive = lane.width > 0
local function inFlight() return callsKey and countCalls(callsKey) or redis.call('LLEN', activeKey) end
local function setWidth(value)
  redis.call('HSET', stateKey, 'width', tostring(value))
  if math.floor(value) ~= math.floor(lane.width) then
    redis.call('HSET', metaKey, 'concurrency', math.max(1, math.floor(value)))
  end
  -- A worker that found the lane full waits for BullMQ's marker.
  if value > lane.width and not callsKey then redis.call('ZADD', (string.gsub(metaKey, 'meta$', 'marker')), 0, '0') end
end
local function widen()
  if not isAdaptive or lane.width >= 10000 or inFlight() < lane.width / 2 then return end
  -- Until a first refusal the width doubles with each round of calls; then it grows by one call.
  setWidth(lane.width + count * widthPerCall * (lane.narrowedAt and widthPerCall / lane.width or 1))
end
local function narrow()
  if not isAdaptive or grantedAt <= (lane.narrowedAt or 0) then return end
  -- A probe is alone: its refusal does not say that too many calls were in flight.
  if lane.heldFor then return end
  -- At the first refusal the width has doubled and may be far above the limit; at later ones it is just above it.
  setWidth(math.max(1, math.min(lane.width, inFlight()) * (lane.narrowedAt and 0.9 or 0.6)))
  redis.call('HSET', stateKey, 'narrowedAt', now)
end

local workedAt, lookDue = 0, 0
if signal == 'ok' then
  if lane.isProbe then
    noteProbeSuccess(lane)
    open(lane)
  end
  if succeededAt >= 0 then noteSuccess(succeededAt) end
  if lane.failures > 0 then redis.call('HDEL', stateKey, 'failures') end
  if lane.retries and lane.retries < retryBudget then redis.call('HINCRBY', stateKey, 'retries', count * requestsPerCall) end
  widen()
elseif signal == 'throttled' then
  narrow()
  hold(lane, askedMs >= 0 and askedMs or backoff(lane, 500, 4000), 'throttled')
elseif signal == 'stopped' then
  hold(lane, probeIntervalMs(), 'stopped')
  lookFirst()
elseif signal == 'refused' or signal == 'accountRefused' then
  workedAt, lookDue = noteRefusal(lane, signal, source)
elseif signal == 'lookRefused' or signal == 'lookAccepted' or signal == 'lookUnclear' then
  noteLook(lane, signal)
elseif signal == 'none' or signal == 'unsent' then
  -- After a probe that was given up, another may go.
  if lane.isProbe then forgetProbe() end
elseif signal == 'overloaded' or signal == 'down' then
  if signal == 'overloaded' then narrow() end
  local failures = redis.call('HINCRBY', stateKey, 'failures', 1)
  -- One failure among many may be the request's fault; a row of failures without a success is the provider's.
  if askedMs >= 0 then
    hold(lane, askedMs, 'throttled')
  elseif lane.heldFor or failures >= 20 then
    -- A provider that has just failed is asked again soon, one that fails for longer less often. It is asked every 8 s at
    -- least, so that the lane goes on within 10 s of the provider's return.
    hold(lane, math.max(1000, math.min(8000, math.floor(failingMs() / 2))), 'failing')
    noteFailure(lane, source)
  end
end
return { lane.heldUntil > now and lane.heldUntil or 0, lane.hasBegunHold and 1 or 0, now, workedAt, lookDue }
