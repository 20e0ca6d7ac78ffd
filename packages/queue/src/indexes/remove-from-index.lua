#!lua flags=allow-oom
-- Removes an id from its index and notes where it stood, so that a listing can continue after it. Each removal deletes
-- a few old notes.
-- KEYS: 1 index, 2 ids removed lately and their scores, 3 the same ids sorted by the time of removal
-- ARGV: 1 id, 2 now in Unix seconds, 3 seconds for which a note is kept
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if score then redis.call('HSET', KEYS[2], ARGV[1], score) end
redis.call('ZADD', KEYS[3], 'NX', ARGV[2], ARGV[1])
local old = redis.call('ZRANGE', KEYS[3], '-inf', '(' .. (ARGV[2] - ARGV[3]), 'BYSCORE', 'LIMIT', 0, 100)
if #old > 0 then
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[3])
