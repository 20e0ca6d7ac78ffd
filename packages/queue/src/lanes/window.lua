-- Sliding windows: what a ledger counts as `requests` and as `tokens`, in slots of time. `ledger` is its key.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local slotsInWindow = 240
local tokenWindowMs = 60000

-- Nil where the ledger has no such window.
local function slotMsOf(ledger, name)
  return tonumber(redis.call('HGET', ledger, name .. ':slotMs') or nil)
end

-- Changes what a call counts by `difference`. `atMs` is the time from which it counts. Returns whether there is such a
-- window.
local function settle(ledger, name, atMs, difference)
  local slotMs = slotMsOf(ledger, name)
  if not slotMs then return false end
  local slot = name .. ':' .. math.floor(atMs / slotMs)
  -- A slot that has left the window has taken its calls with it.
  if redis.call('HEXISTS', ledger, slot) == 1 then
    redis.call('HINCRBY', ledger, slot, difference)
    redis.call('HINCRBY', ledger, name .. ':sum', difference)
  end
  return true
end

-- Counts a call from now on instead of from `atMs`.
local function moveToNow(ledger, name, atMs, amount)
  local slotMs = slotMsOf(ledger, name)
  if not slotMs then return end
  local slot = math.floor(now / slotMs)
  if math.floor(atMs / slotMs) >= slot then return end
  settle(ledger, name, atMs, -amount)
  redis.call('HINCRBY', ledger, name .. ':' .. slot, amount)
  redis.call('HINCRBY', ledger, name .. ':sum', amount)
  redis.call('HSET', ledger, name .. ':last', slot)
end

-- Opens a window of `windowMs` that holds at most `limit`, and drops the slots that have left it. Nil without a limit.
local function openWindow(ledger, name, limit, windowMs)
  if not limit then return nil end
  local slotMs = math.max(1, math.floor(windowMs / slotsInWindow))
  -- A call counts for a little longer than its provider counts it: the provider sees it later than the lane admitted
  -- it.
  local spanMs = windowMs + math.max(150, math.min(500, windowMs * 0.008))
  local self = { limit = tonumber(limit), spanMs = spanMs, slotMs = slotMs }
  local slotNow = math.floor(now / slotMs)
  local known = redis.call('HMGET', ledger, name .. ':first', name .. ':last', name .. ':sum', name .. ':slotMs')
  local first, last = tonumber(known[1] or slotNow), tonumber(known[2] or slotNow)
  local sum, slotMsThen = tonumber(known[3] or 0), tonumber(known[4] or slotMs)
  local hadOtherLength = slotMsThen ~= slotMs
  local oldest = math.floor((now - spanMs) / slotMs)
  local moved = 0
  -- There is no slot after the last one, so the loop does not walk through an idle time.
  while first <= last and (hadOtherLength or first < oldest) do
    local field = name .. ':' .. first
    local count = redis.call('HGET', ledger, field)
    if count then
      sum = sum - count
      redis.call('HDEL', ledger, field)
      -- After a change of length, the calls that still count move into the new window.
      if hadOtherLength and (first + 1) * slotMsThen > now - spanMs then moved = moved + count end
    end
    first = first + 1
  end
  first = hadOtherLength and slotNow or math.max(first, oldest)

  -- How long until a call that counts `amount` fits.
  function self.waitMs(amount)
    -- A call larger than the limit is admitted alone rather than never.
    if sum <= 0 or sum + amount <= self.limit then return 0 end
    local gone, slot = 0, first
    while slot <= slotNow and sum - gone + amount > self.limit and sum - gone > 0 do
      gone = gone + tonumber(redis.call('HGET', ledger, name .. ':' .. slot) or 0)
      slot = slot + 1
    end
    return math.max(1, slot * slotMs + spanMs - now)
  end
  function self.add(amount)
    sum = sum + amount
    redis.call('HINCRBY', ledger, name .. ':' .. slotNow, amount)
  end
  function self.save()
    redis.call('HSET', ledger, name .. ':sum', sum, name .. ':first', first, name .. ':last', slotNow,
      name .. ':slotMs', slotMs)
  end
  if moved > 0 then self.add(moved) end
  return self
end

-- The ledger keeps running averages of how far guesses of tokens are off: what a call used, and the square of its error
-- times the milliseconds in which the guess counted.
local function noteGuess(ledger, estimated, used, ms)
  local known = redis.call('HMGET', ledger, 'guess:used', 'guess:error')
  local meanUsed, meanError = tonumber(known[1] or used), tonumber(known[2] or 0)
  meanUsed = meanUsed + 0.02 * (used - meanUsed)
  meanError = meanError + 0.02 * ((used - estimated) ^ 2 * ms - meanError)
  redis.call('HSET', ledger, 'guess:used', tostring(meanUsed), 'guess:error', tostring(meanError))
end

-- The tokens of a limit that are kept free for calls in flight that use more than was guessed: four standard deviations
-- of all their errors together, and at most 1.5 % of the limit.
local function roomForGuesses(ledger, limit)
  local known = redis.call('HMGET', ledger, 'guess:used', 'guess:error')
  local meanUsed, meanError = tonumber(known[1] or 0), tonumber(known[2] or 0)
  if meanUsed <= 0 then return 0 end
  local callsEachMs = limit / tokenWindowMs / meanUsed
  return math.min(0.015 * limit, 4 * math.sqrt(callsEachMs * meanError))
end
