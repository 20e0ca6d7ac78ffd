#!lua flags=allow-oom
-- A call goes out later than its lane let it in: the sliding windows count it from now on, as its provider will.
-- KEYS: 1 ledger
-- ARGV: 1 when it was let in, in ms of Redis's clock, 2 its estimated tokens
-- Returns now in ms, from when on it counts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function move(name, amount)
  local slotMs = tonumber(redis.call('HGET', KEYS[1], name .. ':slotMs') or 0)
  if slotMs == 0 then return end
  local from, to = math.floor(tonumber(ARGV[1]) / slotMs), math.floor(now / slotMs)
  if from >= to then return end
  -- A slot that has left the window has taken the call with it: it comes in anew.
  if redis.call('HEXISTS', KEYS[1], name .. ':' .. from) == 1 then
    redis.call('HINCRBY', KEYS[1], name .. ':' .. from, -amount)
  else
    redis.call('HINCRBY', KEYS[1], name .. ':sum', amount)
  end
  redis.call('HINCRBY', KEYS[1], name .. ':' .. to, amount)
  redis.call('HSET', KEYS[1], name .. ':last', to)
end

move('requests', 1)
move('tokens', tonumber(ARGV[2]))
return now
