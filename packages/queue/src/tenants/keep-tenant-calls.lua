#!lua flags=allow-oom
-- Keeps the places of a tenant's calls. Those that have not gone out yet count in the sliding windows (window.lua) from
-- now on.
-- KEYS: 1 ledger, 2 places of calls and until when each is taken
-- ARGV: 1 ms for which a place is taken, then for each call its id, the time from which it counts in ms of Redis's clock,
--       or 0 when it has gone out, and its estimated tokens
-- Returns now in ms
for i = 2, #ARGV, 3 do
  redis.call('ZADD', KEYS[2], now + ARGV[1], ARGV[i])
  local countedAt = tonumber(ARGV[i + 1])
  if countedAt > 0 then
    moveToNow(KEYS[1], 'requests', countedAt, 1)
    moveToNow(KEYS[1], 'tokens', countedAt, tonumber(ARGV[i + 2]))
  end
end
return now
