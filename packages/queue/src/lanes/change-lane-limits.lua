#!lua flags=allow-oom
-- Changes limits of a lane for an admin, from its next call on and until they are changed again.
-- KEYS: as apply-lane-limits.lua
-- ARGV: field and value pairs: concurrency, requests, windowMs, tokens; with an empty value the limit is as configured
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', changedKey, ARGV[i])
  else
    redis.call('HSET', changedKey, ARGV[i], ARGV[i + 1])
  end
end
-- A lane that no worker has opened gets its limits from the first that does.
if redis.call('EXISTS', configuredKey) == 1 then applyLimits() end
