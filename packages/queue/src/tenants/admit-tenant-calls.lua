#!lua flags=allow-oom
-- Admits as many calls of a tenant as its limits allow at this moment. An admitted call takes one of the places for
-- calls in flight until it ends; one that nobody keeps becomes free, since its worker has died.
-- KEYS: 1 ledger of the sliding windows (window.lua), 2 places of calls and until when each is taken
-- ARGV: 1 ms for which a place is taken, 2 most requests a minute, 3 most tokens a minute, 4 most calls in flight, each
--       '' without a limit, then for each call its id and its estimated tokens
-- Returns { calls admitted, which are the first ones, now in ms, what the others wait for: '', 'requestsPerMinute',
--           'tokensPerMinute' or 'concurrency', ms until asking again may help, 1 if one more call would be admitted }
local tokenLimit = tonumber(ARGV[3])
local requests = openWindow(KEYS[1], 'requests', ARGV[2] ~= '' and ARGV[2] or nil, 60000)
local tokens = openWindow(KEYS[1], 'tokens', tokenLimit and tokenLimit - roomForGuesses(KEYS[1], tokenLimit), tokenWindowMs)
local most = tonumber(ARGV[4]) or math.huge
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local inFlight = redis.call('ZCARD', KEYS[2])

local waitFor, waitMs = '', 0
local function isFull(estimate)
  local requestsMs = requests and requests.waitMs(1) or 0
  local tokensMs = tokens and tokens.waitMs(estimate) or 0
  -- Nobody knows when a call ends.
  if inFlight >= most then waitFor, waitMs = 'concurrency', 1000
  elseif requestsMs > 0 then waitFor, waitMs = 'requestsPerMinute', requestsMs
  elseif tokensMs > 0 then waitFor, waitMs = 'tokensPerMinute', tokensMs
  else return false end
  return true
end

local granted, estimate = 0, 0
for i = 5, #ARGV, 2 do
  estimate = tonumber(ARGV[i + 1])
  if isFull(estimate) then break end
  if requests then requests.add(1) end
  if tokens then tokens.add(estimate) end
  redis.call('ZADD', KEYS[2], now + ARGV[1], ARGV[i])
  inFlight = inFlight + 1
  granted = granted + 1
end
local refused = waitFor
if refused ~= '' then
  -- Its batches show what they wait for.
  redis.call('HSET', KEYS[1], 'refusedFor', refused, 'refusedUntil', now + math.ceil(math.max(3000, waitMs)))
end
local hasRoom = refused == '' and not isFull(estimate) and 1 or 0
if requests then requests.save() end
if tokens then tokens.save() end
return { granted, now, refused, math.ceil(waitMs), hasRoom }
