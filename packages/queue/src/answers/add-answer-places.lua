-- Notes where answers are. When the newest places are as many as they may be, they take the place of the older ones.
-- KEYS: 1 newest places of the tenant, 2 older places
-- ARGV: 1 most places in each, 2 seconds for which places are kept, then a question's hash and its answer's place, and so on
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  redis.call('UNLINK', KEYS[2])
  redis.call('RENAME', KEYS[1], KEYS[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
