#!lua flags=allow-oom
-- Notes that a call goes out some time after its lane admitted it: the sliding windows (window.lua) count it from now
-- on, as its provider will.
-- KEYS: 1 ledger
-- ARGV: 1 when it was admitted, in ms of Redis's clock, 2 its estimated tokens
-- Returns now in ms: the time from which it counts.
local grantedAt, estimated = tonumber(ARGV[1]), tonumber(ARGV[2])
moveToNow('requests', grantedAt, 1)
moveToNow('tokens', grantedAt, estimated)
return now
