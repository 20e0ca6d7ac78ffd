#!lua flags=allow-oom
-- Lets calls into a lane, as many as its limits allow at this moment, and says when to ask again. Nothing is reserved
-- ahead, so that a changed limit or a new hold counts for the very next call.
-- KEYS: 1 limits, 2 state, 3 ledger: what was granted in each slot of the sliding windows
-- ARGV: 1 ms after which another probe may go, then the estimated tokens of each call wanted, in order
-- Returns { calls granted, ms until asking again may help, what is waited for, now in ms, 1 if what was granted is a
--           probe, 1 if the lane is closed: stopped, or without a success for long, 1 if nothing limits it now, ms within
--           which what was granted must go out, absent when it may at any time }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limits = redis.call('HMGET', KEYS[1], 'requests', 'windowMs', 'tokens', 'probeIntervalMs')
-- A lane whose limits are lost is not one without limits.
if not limits[4] then return { 0, 100, 'limits', now, 0, 0, 0 } end
local state = redis.call('HMGET', KEYS[2], 'heldUntil', 'halfOpen', 'probeUntil', 'nextRequestAt', 'nextTokenAt',
  'rampUntil', 'rampMs', 'closedFrom')
local wanted = #ARGV - 1

local closed = state[8] and tonumber(state[8]) <= now and 1 or 0
local heldUntil = tonumber(state[1] or 0)
-- Not in the millisecond in which a hold began either: a probe is told from a call before the hold by its time.
if heldUntil >= now then return { 0, heldUntil - now + 1, 'hold', now, 0, closed, 0 } end
if state[2] then
  -- After a hold one call finds out whether the provider is back; the fleet waits for its answer.
  local probeUntil = tonumber(state[3] or 0)
  if probeUntil > now then return { 0, probeUntil - now, 'probe', now, 0, closed, 0 } end
  wanted = 1
end

-- A sliding window of `length` ms, in 240 slots; a call counts for a little longer than the provider counts it, since it
-- reaches the provider later than it was granted.
local function window(name, limit, length)
  if not limit then return nil end
  local guard = math.max(150, math.min(500, length * 0.008))
  local slotMs = math.max(1, math.floor(length / 240))
  local self = { limit = tonumber(limit), spanMs = length + guard, slot = math.floor(now / slotMs) }
  local known = redis.call('HMGET', KEYS[3], name .. ':first', name .. ':last', name .. ':sum', name .. ':slotMs')
  local first, last = tonumber(known[1] or self.slot), tonumber(known[2] or self.slot)
  local sum, slotMsThen = tonumber(known[3] or 0), tonumber(known[4] or slotMs)
  local isOther = slotMsThen ~= slotMs
  local oldest = math.floor((now - self.spanMs) / slotMs)
  local moved = 0
  -- Nothing is behind the last slot: an idle time is not walked through.
  while first <= last and (isOther or first < oldest) do
    local field = name .. ':' .. first
    local count = redis.call('HGET', KEYS[3], field)
    if count then
      sum = sum - count
      redis.call('HDEL', KEYS[3], field)
      -- Of a window that had another length, what still counts goes on in this one.
      if isOther and (first + 1) * slotMsThen > now - self.spanMs then moved = moved + count end
    end
    first = first + 1
  end
  first = isOther and self.slot or math.max(first, oldest)
  self.sum = sum
  function self.waitMs(amount)
    -- A call larger than the limit is let in alone rather than never.
    if self.sum <= 0 or self.sum + amount <= self.limit then return 0 end
    local gone, slot = 0, first
    while slot <= self.slot and self.sum - gone + amount > self.limit and self.sum - gone > 0 do
      gone = gone + tonumber(redis.call('HGET', KEYS[3], name .. ':' .. slot) or 0)
      slot = slot + 1
    end
    return math.max(1, slot * slotMs + self.spanMs - now)
  end
  function self.add(amount)
    self.sum = self.sum + amount
    redis.call('HINCRBY', KEYS[3], name .. ':' .. self.slot, amount)
  end
  function self.save()
    redis.call('HSET', KEYS[3], name .. ':sum', self.sum, name .. ':first', first, name .. ':last', self.slot,
      name .. ':slotMs', slotMs)
  end
  if moved > 0 then self.add(moved) end
  return self
end

local requests = window('requests', limits[1], tonumber(limits[2] or 60000))
local tokens = window('tokens', limits[3], 60000)

-- Calls are spread evenly; what a late question missed, it may catch up on, up to this long.
local catchUpMs = 50
local function pace(nextAt, intervalMs)
  return math.max(nextAt, now - math.max(catchUpMs, intervalMs)) + intervalMs
end

-- A lane that opens again lets the fleet back in over a second, not all at once.
local rampMs = now < tonumber(state[6] or 0) and tonumber(state[7]) or nil

local granted, waitMs, waitFor = 0, 0, ''
local nextRequestAt, nextTokenAt = tonumber(state[4] or 0), tonumber(state[5] or 0)
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
    nextTokenAt = pace(nextTokenAt, estimate * tokens.spanMs / tokens.limit)
  end
  granted = granted + 1
end
if granted > 0 then
  redis.call('HSET', KEYS[2], 'nextRequestAt', tostring(nextRequestAt), 'nextTokenAt', tostring(nextTokenAt))
  if state[2] then redis.call('HSET', KEYS[2], 'probeUntil', now + ARGV[1]) end
end
if requests then requests.save() end
if tokens then tokens.save() end
if waitMs == 0 and granted < #ARGV - 1 then waitMs, waitFor = tonumber(ARGV[1]), 'probe' end
local free = not (requests or tokens or rampMs or state[2]) and 1 or 0
-- A call that goes out later than it was granted is counted anew (count-late-call.lua), while it still counts from then.
local shortest = math.min(requests and requests.spanMs or math.huge, tokens and tokens.spanMs or math.huge)
local sendWithinMs = shortest < math.huge and math.floor(shortest * 0.75) or nil
return { granted, math.ceil(waitMs), waitFor, now, state[2] and 1 or 0, closed, free, sendWithinMs }
