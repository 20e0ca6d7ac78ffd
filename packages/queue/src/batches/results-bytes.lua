#!lua flags=no-writes
-- Tells how much memory results take on their way to segments. It is a script because ioredis does not find the key of
-- this command in a cluster.
-- KEYS: 1 results stream
-- Returns bytes
return redis.call('MEMORY', 'USAGE', KEYS[1]) or 0
