#!lua flags=allow-oom
-- Says how many calls of a deployment a process has in flight.
-- KEYS: 1 the deployment's calls (deployment-calls.lua)
-- ARGV: 1 the process, 2 its calls in flight
-- Returns 1
noteCalls(KEYS[1], ARGV[1], tonumber(ARGV[2]))
return 1
