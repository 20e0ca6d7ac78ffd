-- Writes a file's record, unless the file was deleted in the last 24 h. Its bytes count from now on instead of those
-- reserved for its upload.
-- KEYS: 1 file record, 2 ids removed in the last 24 h, 3 bytes of the tenant's files, 4 uploads under way and until when
--       they count, 5 bytes reserved for them
-- ARGV: 1 id, 2 record as JSON, 3 bytes of the file
-- Returns 1 when written, else 0
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('INCRBY', KEYS[3], ARGV[3]) end
redis.call('SET', KEYS[1], ARGV[2])
return 1
