-- Notes that a batch needs a file, if there is such a file.
-- KEYS: 1 file record, 2 batches that need it and since when
-- ARGV: 1 batch id, 2 now in Unix seconds
-- Returns 1 when noted, else 0
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
