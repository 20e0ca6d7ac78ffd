#!lua flags=allow-oom
-- Notes that a batch needs its file no more, and counts it no more among its tenant's active batches.
-- KEYS: 1 batches that need the file, 2 active batches (use-file.lua), 3 those whose creation may break off
-- ARGV: 1 batch id
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
local requests = redis.call('HGET', KEYS[2], ARGV[1])
if not requests then return end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'requests', -requests)
if redis.call('HLEN', KEYS[2]) == 1 then redis.call('DEL', KEYS[2]) end
