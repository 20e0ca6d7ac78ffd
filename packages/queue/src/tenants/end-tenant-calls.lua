#!lua flags=allow-oom
-- Gives back the places of a tenant's calls, and settles their tokens in the sliding windows (window.lua).
-- KEYS: 1 ledger, 2 places of calls
-- ARGV: for each call its id, the time from which it counts in ms of Redis's clock, its estimated tokens, and the tokens it
--       used: -1 when unknown, -2 when it has not gone out
-- Returns for each call 1
local answers = {}
for i = 1, #ARGV, 4 do
  local countedAt, estimated, used = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  redis.call('ZREM', KEYS[2], ARGV[i])
  if used == -2 then
    settle(KEYS[1], 'requests', countedAt, -1)
    settle(KEYS[1], 'tokens', countedAt, -estimated)
  elseif used >= 0 and settle(KEYS[1], 'tokens', countedAt, used - estimated) and used > 0 then
    noteGuess(KEYS[1], estimated, used, math.max(0, now - countedAt))
  end
  answers[#answers + 1] = 1
end
return answers
