#!lua flags=allow-oom
-- Notes that a call goes out some time after its lane admitted it: the sliding windows (window.lua) count it from now
-- on, as its provider will.
-- KEYS: 1 ledger, and for a deployment 2 the ledger that it shares with the others of its lane
-- ARGV: 1 when it was admitted, in ms of Redis's clock, 2 its estimated tokens
-- Returns now in ms: the time from which it counts.
local grantedAt, estimated = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, ledger in ipairs(KEYS) do
  moveToNow(ledger, 'requests', grantedAt, 1)
  moveToNow(ledger, 'tokens', grantedAt, estimated)
end
return now
