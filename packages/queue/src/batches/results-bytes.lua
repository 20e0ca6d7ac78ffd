#!lua flags=no-writes
-- The memory that results on their way to segments take. A script, since a cluster's client does not find the key.
-- KEYS: 1 results stream
-- Returns bytes
return redis.call('MEMORY', 'USAGE', KEYS[1]) or 0
