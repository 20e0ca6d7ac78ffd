-- How the end of a call holds and opens its lane. lane-state.lua says what the fields mean.
-- KEYS: 2 limits, 3 state, 4 BullMQ's meta hash of the lane
local limitsKey, stateKey, metaKey = unpack(KEYS, 2)

local closesAtOnce = { stopped = true, refused = true }
-- Other holds close the lane this long after the first of a row.
local closedAfterMs = 60000

-- The lane as the end of a call finds it that was admitted at `callAt`.
local function readLane(callAt, reason)
  local known = redis.call('HMGET', stateKey, 'heldFor', 'heldUntil', 'heldAt', 'holds', 'failedSources', 'width', 'narrowedAt',
    'failures', 'retries')
  local heldFor, heldAt = known[1] or nil, tonumber(known[3] or 0)
  return {
    callAt = callAt,
    reason = reason,
    heldFor = heldFor,
    heldUntil = tonumber(known[2] or 0),
    heldAt = heldAt,
    holds = tonumber(known[4] or 0),
    failedSources = known[5] or '',
    width = tonumber(known[6] or 0),
    narrowedAt = tonumber(known[7] or nil),
    failures = tonumber(known[8] or 0),
    retries = tonumber(known[9] or nil),
    -- The call's end says whether the lane may open.
    isProbe = heldFor ~= nil and callAt > heldAt,
    hasBegunHold = false,
  }
end

local function forgetProbe()
  redis.call('HDEL', stateKey, 'probedAt', 'probeSource')
end

local function noteFailure(lane, source)
  if source == '' then return end
  lane.failedSources = withSource(lane.failedSources, source)
  redis.call('HSET', stateKey, 'failedSources', lane.failedSources)
end

local function hold(lane, ms, heldFor)
  -- A volley's answers come one after another; only the first of them is a new refusal.
  if lane.callAt > lane.heldAt then
    lane.hasBegunHold = true
    redis.call('HSET', stateKey, 'heldAt', now, 'holds', lane.holds + 1)
    redis.call('HSETNX', stateKey, 'heldSince', now)
    forgetProbe()
  end
  if not lane.heldFor and heldFor ~= 'refused' then
    lane.failedSources = ''
    redis.call('HDEL', stateKey, 'failedSources')
  end
  if closesAtOnce[heldFor] then
    redis.call('HSET', stateKey, 'closedFrom', now)
  else
    redis.call('HSETNX', stateKey, 'closedFrom', now + closedAfterMs)
  end
  -- A hold is never shortened, nor does one that lets nobody in become one that does.
  if lane.heldUntil > now and isFirm[lane.heldFor] and heldFor ~= 'stopped' then heldFor = lane.heldFor end
  lane.heldUntil = math.max(lane.heldUntil, now + ms)
  redis.call('HSET', stateKey, 'heldUntil', lane.heldUntil, 'heldFor', heldFor, 'reason', lane.reason)
end

-- How long the next hold of a row lasts, in ms.
local function backoff(lane, firstMs, longestMs)
  return math.min(longestMs, firstMs * 2 ^ math.min(lane.holds, 10))
end

-- How long the provider has failed since the lane was open, in ms.
local function failingMs()
  local closedFrom = redis.call('HGET', stateKey, 'closedFrom')
  return closedFrom and now + closedAfterMs - closedFrom or 0
end

local function probeIntervalMs()
  return tonumber(redis.call('HGET', limitsKey, 'probeIntervalMs'))
end

local function open(lane)
  redis.call('HDEL', stateKey, 'heldFor', 'heldUntil', 'heldSince', 'holds', 'reason', 'closedFrom', 'failedSources',
    'looksLeft')
  forgetProbe()
  lane.heldUntil = 0
  -- A provider that refused calls works, and takes them all at once.
  if lane.heldFor == 'refused' then return end
  local most = tonumber(redis.call('HGET', metaKey, 'concurrency') or 50)
  redis.call('HSET', stateKey, 'rampUntil', now + 1000, 'rampMs', math.ceil(1000 / most))
end
