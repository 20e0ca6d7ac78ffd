#!lua flags=allow-oom
-- Removes a delivery.
-- KEYS: 1 delivery, 2 … the indexes that may have it
-- ARGV: 1 id
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
