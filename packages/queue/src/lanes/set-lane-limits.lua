#!lua flags=allow-oom
-- Sets a lane's limits as configured, from its next call on. Those that an admin has changed stay as they are.
-- KEYS: as apply-lane-limits.lua
-- ARGV: field and value pairs: concurrency, requests, windowMs, tokens, and always startWidth, the calls in flight at the
--       start where no concurrency is set, probeIntervalMs, the pause between probes of a provider that takes no call, and
--       hasKey, 1 if the worker can call the provider
-- Returns 1 if tokens are limited.
redis.call('DEL', configuredKey)
redis.call('HSET', configuredKey, unpack(ARGV))
return applyLimits()
