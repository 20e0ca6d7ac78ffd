#!lua flags=allow-oom
-- Admits as many calls as a lane's limits allow at this moment, and says when to ask again. It reserves nothing for
-- later calls, so a changed limit or a new hold applies to the very next call.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 limits, 3 state (lane-state.lua), 4 the lane's waiting jobs by
--       priority, BullMQ's; for a deployment also 5 its calls in flight (deployment-calls.lua), 6 how many these may be,
--       what it shares with the others of its lane: 7 ledger, 8 limits, 9 state, 10 how many calls each of these may have
--       in flight, 11 and 12 BullMQ's meta hash and marker of the lane
-- ARGV: 1 ms after which another probe may go, 2 the source of the first call and the tenant of all, or '' as long as the
--       lane does not ask for it, for a deployment 3 its name, 4 the process that asks and 5 the process's calls in flight,
--       for others each '', then the estimated tokens of each call that wants to go, in order
-- Returns { calls granted, ms until asking again may help, what is waited for, now in ms,
--           1 if the granted call is a probe,
--           for how many ms the lane has been closed, or 0: stopped, or without a success for long, 1 if nothing limits
--           it now,
--           in a held lane the sources whose calls failed, joined by commas, the latest last; else '',
--           1 if the next jobs that wait in a held lane are of a tenant of which no call failed,
--           1 if tokens are limited, of a deployment the calls in flight and how many may be, else 0 and 0,
--           ms within which granted calls must go out, absent when they may go at any time }
-- It waits for a 'source' when the answer depends on the source of the first call, and for a 'look' when the caller is to
-- make a neutral look before a call.
local limitsKey, stateKey, waitingKey, callsKey, mostKey, sharedLedger, sharedLimitsKey, sharedStateKey, widthsKey, metaKey, markerKey =
  unpack(KEYS, 2)
local probeMs, source, firstCall = tonumber(ARGV[1]), ARGV[2], 6
local deployment, process, ownCalls = ARGV[3], ARGV[4], tonumber(ARGV[5])
local limits = redis.call('HMGET', limitsKey, 'requests', 'windowMs', 'tokens', 'probeIntervalMs')
local sharedLimits = callsKey
  and redis.call('HMGET', sharedLimitsKey, 'requests', 'windowMs', 'tokens', 'probeIntervalMs', 'concurrency')
-- A lane that has lost its limits must not run without limits.
if not limits[4] or sharedLimits and not sharedLimits[4] then
  return { 0, 100, 'limits', now, 0, 0, 0, '', 0, 0, 0, 0 }
end
local state = redis.call('HMGET', stateKey, 'heldFor', 'rampUntil', 'rampMs', 'closedFrom', 'nextRequestAt', 'nextTokenAt',
  'tokensOwed')
local asked = #ARGV - firstCall + 1
local wanted = asked
local heldFor = state[1] or nil
local limitsTokens = (limits[3] or sharedLimits and sharedLimits[3]) and 1 or 0
local closed = state[4] and tonumber(state[4]) <= now and math.max(1, now - state[4]) or 0

local inFlight, most = 0, 0
if callsKey then
  noteCalls(callsKey, process, ownCalls)
  inFlight, most = countCalls(callsKey), tonumber(redis.call('HGET', mostKey, 'concurrency') or 1)
  wanted = math.max(0, math.min(wanted, most - inFlight))
  -- BullMQ gives out as many jobs as the deployments may have in flight together.
  redis.call('HSET', widthsKey, deployment, most)
  local jobs = 0
  for _, width in ipairs(redis.call('HVALS', widthsKey)) do jobs = jobs + width end
  jobs = math.min(jobs, tonumber(sharedLimits[5] or math.huge))
  local jobsBefore = tonumber(redis.call('HGET', metaKey, 'concurrency') or 0)
  if jobs ~= jobsBefore then redis.call('HSET', metaKey, 'concurrency', jobs) end
  -- A worker that found the lane full waits for BullMQ's marker.
  if jobs > jobsBefore then redis.call('ZADD', markerKey, 0, '0') end
end

local failedSources = ''

-- Whether calls of another tenant, none of whose calls failed, could go if those that wait at workers gave way.
local function othersWait()
  if failedSources == '' or source == '' or not hasTenantOf(failedSources, source) then return 0 end
  -- BullMQ keeps a job beside its lists. Its name begins with its source (lane-turns.ts).
  local jobPrefix, seen = string.sub(waitingKey, 1, -1 - #'prioritized'), {}
  -- Requests that gave way come back with old turns, and so ahead of another tenant that has come meanwhile.
  for _, jobId in ipairs(redis.call('ZRANGE', waitingKey, 0, 499)) do
    local batch = string.match(jobId, '^(.*)%-')
    if not seen[batch] then
      seen[batch] = true
      local name = redis.call('HGET', jobPrefix .. jobId, 'name')
      local other = name and string.match(name, '^%S+/%S+')
      if other and not hasTenantOf(failedSources, other) then return 1 end
    end
  end
  return 0
end

local function wait(ms, what)
  return { 0, ms, what, now, 0, closed, 0, failedSources, othersWait(), limitsTokens, inFlight, most }
end

-- Whether the calls go in spite of the hold.
local isFree = false
if heldFor then
  local known = redis.call('HMGET', stateKey, 'heldUntil', 'heldAt', 'failedSources', 'probedAt', 'probeSource', 'looksLeft',
    'lookedAt')
  local heldUntil, heldAt, probedAt = tonumber(known[1]), tonumber(known[2]), tonumber(known[4] or nil)
  -- A probe without an answer has failed so far: the next one is of another source.
  failedSources = known[3] or ''
  if known[5] then failedSources = withSource(failedSources, known[5]) end
  -- A source that has not failed need not wait long for another's probe. Where the hold is not firm, it may send one at
  -- once.
  local isOther = false
  if failedSources ~= '' then
    if source == '' then return wait(1, 'source') end
    -- A full list may have forgotten sources of a tenant in it. These must not probe all the time.
    local mayBeForgotten = countSources(failedSources) >= mostFailedSources and now - heldAt < 1000
      and hasTenantOf(failedSources, source)
    isOther = not mayBeForgotten and not hasSource(failedSources, source)
  end
  local isExempt = isOther and not isFirm[heldFor]
  -- Refusals of one tenant's requests say nothing of another's, unless a neutral look was refused too.
  local _, failedTenants = countSources(failedSources)
  isFree = heldFor == 'refused' and not known[6] and heldAt < now and failedTenants == 1
    and not hasTenantOf(failedSources, source)
  if not isFree then
    -- A probe differs from a call before the hold only by its later time, so no call goes in the millisecond in which the
    -- hold began.
    if heldUntil >= now and not (isExempt and heldAt < now) then
      -- A probe that went in spite of the hold may end it before its time.
      return wait(heldUntil - now + 1, probedAt and probedAt + probeMs > now and 'probe' or 'hold')
    end
    -- After a hold one call finds out whether the provider is back; all others wait for its answer.
    local nextProbeAt = probedAt and probedAt + (isOther and math.min(2000, probeMs) or probeMs) or now
    if nextProbeAt > now then return wait(nextProbeAt - now, 'probe') end
    if known[6] and not isExempt then
      -- The process that makes the last look may have died.
      local nextLookAt = tonumber(known[7] or 0) + math.min(5000, tonumber(limits[4]))
      if nextLookAt > now then return wait(nextLookAt - now, 'probe') end
      redis.call('HSET', stateKey, 'lookedAt', now)
      return wait(0, 'look')
    end
    wanted = math.min(wanted, 1)
  end
end
-- Another process's call may end at any moment. Of its own the process that asks knows itself.
if wanted == 0 then return wait(250, 'calls') end

-- A lane that opens again admits its calls over a second, not all at once.
local rampMs = now < tonumber(state[2] or 0) and tonumber(state[3]) or nil

-- What limits calls by the minute: the windows of a ledger, and the pace at which calls go.
local function openBudget(ledger, stateKey, limits, paces, rampMs)
  local self = {}
  local tokenLimit = tonumber(limits[3] or nil)
  local requests = openWindow(ledger, 'requests', limits[1], tonumber(limits[2] or 60000))
  local tokens = openWindow(ledger, 'tokens', tokenLimit and tokenLimit - roomForGuesses(ledger, tokenLimit), tokenWindowMs)
  self.isLimited = requests or tokens or rampMs
  -- The window counts whole slots, so the pace allows for one slot more. Otherwise calls would wait for each of the two
  -- in turn.
  local msPerToken = tokens and (tokens.spanMs + tokens.slotMs) / tokenLimit
  -- A call that goes out late is counted again (count-late-call.lua), while the window still counts it from its
  -- admission.
  self.shortestMs = math.min(requests and requests.spanMs or math.huge, tokens and tokens.spanMs or math.huge)

  -- Calls are spread evenly over the window. A busy machine may ask late; then the next calls catch up on at most this
  -- much time.
  local catchUpMs = rampMs and 0 or 250
  local function pace(nextAt, intervalMs)
    return math.max(nextAt, now - math.max(catchUpMs, intervalMs)) + intervalMs
  end

  local nextRequestAt, nextTokenAt = tonumber(paces[1] or 0), tonumber(paces[2] or 0)
  -- Tokens that ended calls used beyond their estimates; negative when they used fewer. The next call waits for tokens
  -- owed. The next calls may use tokens that were given back, up to a second's worth.
  local tokensOwed = tonumber(paces[3] or 0)
  if tokens and tokensOwed > 0 then
    nextTokenAt, tokensOwed = nextTokenAt + tokensOwed * msPerToken, 0
  end

  -- Returns how long until a call may go in ms, and what it waits for.
  function self.waitMs(estimate)
    if requests or rampMs then
      local ms = math.max(nextRequestAt - now, requests and requests.waitMs(1) or 0)
      if ms > 0 then return ms, 'requests' end
    end
    return tokens and math.max(nextTokenAt - now, tokens.waitMs(estimate)) or 0, 'tokens'
  end
  function self.take(estimate)
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
  end
  function self.save(hasTaken)
    if hasTaken then
      redis.call('HSET', stateKey, 'nextRequestAt', tostring(nextRequestAt), 'nextTokenAt', tostring(nextTokenAt),
        'tokensOwed', math.floor(tokensOwed))
    end
    if requests then requests.save() end
    if tokens then tokens.save() end
  end
  return self
end

local budgets = { openBudget(KEYS[1], stateKey, limits, { unpack(state, 5, 7) }, rampMs) }
if sharedLimits then
  local paces = redis.call('HMGET', sharedStateKey, 'nextRequestAt', 'nextTokenAt', 'tokensOwed')
  budgets[2] = openBudget(sharedLedger, sharedStateKey, sharedLimits, paces)
end

local granted, waitMs, waitFor = 0, 0, ''
for i = firstCall, firstCall - 1 + wanted do
  local estimate = tonumber(ARGV[i])
  for _, budget in ipairs(budgets) do
    local ms, what = budget.waitMs(estimate)
    if ms > waitMs then waitMs, waitFor = ms, what end
  end
  if waitMs > 0 then break end
  for _, budget in ipairs(budgets) do budget.take(estimate) end
  granted = granted + 1
end
local sendWithinMs = math.huge
for _, budget in ipairs(budgets) do
  budget.save(granted > 0)
  sendWithinMs = math.min(sendWithinMs, math.floor(budget.shortestMs * 0.75))
end
if granted > 0 and heldFor and not isFree then
  redis.call('HSET', stateKey, 'probedAt', now)
  if source ~= '' then redis.call('HSET', stateKey, 'probeSource', source, 'failedSources', failedSources) end
end
if waitMs == 0 and granted < asked then
  if callsKey and (not heldFor or isFree) then waitMs, waitFor = 250, 'calls' else waitMs, waitFor = probeMs, 'probe' end
end
if granted > 0 and callsKey then
  noteCalls(callsKey, process, ownCalls + granted)
  inFlight = inFlight + granted
end
-- A deployment's calls are to be counted, each of them.
local free = not (budgets[1].isLimited or heldFor or callsKey) and 1 or 0
return { granted, math.ceil(waitMs), waitFor, now, heldFor and 1 or 0, closed, free, failedSources, othersWait(),
  limitsTokens, inFlight, most, sendWithinMs < math.huge and sendWithinMs or nil }
