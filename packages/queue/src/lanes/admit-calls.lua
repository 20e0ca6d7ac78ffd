#!lua flags=allow-oom
-- Lets calls into a lane, as many as its limits allow at this moment, and says when to ask again. Nothing is reserved
-- ahead, so that a changed limit or a new hold counts for the very next call.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state
-- ARGV: 1 ms after which another probe may go, then the estimated tokens of each call wanted, in order
-- Returns { calls granted, ms until asking again may help, what is waited for, now in ms, 1 if what was granted is a
--           probe, 1 if the lane is closed: stopped, or without a success for long, 1 if nothing limits it now, ms within
--           which what was granted must go out, absent when it may at any time }
local limitsKey, stateKey = unpack(KEYS, 2)
local limits = redis.call('HMGET', limitsKey, 'requests', 'windowMs', 'tokens', 'probeIntervalMs')
-- A lane whose limits are lost is not one without limits.
if not limits[4] then return { 0, 100, 'limits', now, 0, 0, 0 } end
local state = redis.call('HMGET', stateKey, 'heldUntil', 'halfOpen', 'probeUntil', 'nextRequestAt', 'nextTokenAt',
  'rampUntil', 'rampMs', 'closedFrom', 'tokensOwed')
local wanted = #ARGV - 1

local closed = state[8] and tonumber(state[8]) <= now and 1 or 0
local heldUntil = tonumber(state[1] or 0)
-- Nor in the millisecond in which a hold began: only its time tells a probe from a call before the hold.
if heldUntil >= now then return { 0, heldUntil - now + 1, 'hold', now, 0, closed, 0 } end
if state[2] then
  -- After a hold one call finds out whether the provider is back; the fleet waits for its answer.
  local probeUntil = tonumber(state[3] or 0)
  if probeUntil > now then return { 0, probeUntil - now, 'probe', now, 0, closed, 0 } end
  wanted = 1
end

local tokenLimit = tonumber(limits[3] or nil)
local requests = openWindow('requests', limits[1], tonumber(limits[2] or 60000))
local tokens = openWindow('tokens', tokenLimit and tokenLimit - roomForGuesses(tokenLimit), tokenWindowMs)
-- The window counts whole slots, so the pace counts one more: calls would wait for both by turns.
local msPerToken = tokens and (tokens.spanMs + tokens.slotMs) / tokenLimit

-- A lane that opens again lets the fleet back in over a second, not all at once.
local rampMs = now < tonumber(state[6] or 0) and tonumber(state[7]) or nil

-- Calls are spread evenly over the window. A busy machine asks late: the next calls catch up on so much time.
local catchUpMs = rampMs and 0 or 250
local function pace(nextAt, intervalMs)
  return math.max(nextAt, now - math.max(catchUpMs, intervalMs)) + intervalMs
end

local granted, waitMs, waitFor = 0, 0, ''
local nextRequestAt, nextTokenAt = tonumber(state[4] or 0), tonumber(state[5] or 0)
-- How much more the calls that have ended used than was guessed; negative when they used less. The next call waits for
-- what was used too much. What was given back is the next calls' to have, up to a second's worth.
local tokensOwed = tonumber(state[9] or 0)
if tokens and tokensOwed > 0 then
  nextTokenAt, tokensOwed = nextTokenAt + tokensOwed * msPerToken, 0
end

for i = 1, wanted do
  local estimate = tonumber(ARGV[1 + i])
  if requests or rampMs then
    local wait = math.max(nextRequestAt - now, requests and requests.waitMs(1) or 0)
    if wait > 0 then waitMs, waitFor = wait, 'requests' break end
  end
  if tokens then
    local wait = math.max(nextTokenAt - now, tokens.waitMs(estimate))
    if wait > 0 then waitMs, waitFor = wait, 'tokens' break end
  end
  if requests then
    requests.add(1)
    nextRequestAt = pace(nextRequestAt, math.max(rampMs or 0, requests.spanMs / requests.limit))
  elseif rampMs then
    nextRequestAt = pace(nextRequestAt, rampMs)
  end
  if tokens then
    tokens.add(estimate)
    tokensOwed = math.max(tokensOwed, -math.max(estimate, tokenLimit / 60))
    local paced = math.max(0, estimate + tokensOwed)
    nextTokenAt = pace(nextTokenAt, paced * msPerToken)
    tokensOwed = tokensOwed + estimate - paced
  end
  granted = granted + 1
end
if granted > 0 then
  redis.call('HSET', stateKey, 'nextRequestAt', tostring(nextRequestAt), 'nextTokenAt', tostring(nextTokenAt),
    'tokensOwed', math.floor(tokensOwed))
  if state[2] then redis.call('HSET', stateKey, 'probeUntil', now + ARGV[1]) end
end
if requests then requests.save() end
if tokens then tokens.save() end
if waitMs == 0 and granted < #ARGV - 1 then waitMs, waitFor = tonumber(ARGV[1]), 'probe' end
local free = not (requests or tokens or rampMs or state[2]) and 1 or 0
-- A call that goes out late is counted anew (count-late-call.lua), as long as the window still counts it from before.
local shortest = math.min(requests and requests.spanMs or math.huge, tokens and tokens.spanMs or math.huge)
local sendWithinMs = shortest < math.huge and math.floor(shortest * 0.75) or nil
return { granted, math.ceil(waitMs), waitFor, now, state[2] and 1 or 0, closed, free, sendWithinMs }
