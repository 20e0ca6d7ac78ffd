-- Notes a part of a pending upload. Its bytes count from now on instead of those reserved for it.
-- KEYS: 1 upload, 2 bytes of each of its parts, 3 bytes of the tenant's files and parts, 4 uploads under way and until
--       when they count, 5 bytes reserved for them
-- ARGV: 1 part id, 2 its bytes, 3 most parts of an upload
-- Returns 'added', 'missing', 'full' or the status of an upload that is pending no more
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'pending' then return status or 'missing' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('INCRBY', KEYS[3], ARGV[2])
return 'added'
