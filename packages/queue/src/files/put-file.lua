-- Writes a file's record, unless the file was deleted lately.
-- KEYS: 1 file record, 2 ids removed lately
-- ARGV: 1 id, 2 record as JSON
-- Returns 1 when written, else 0
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
