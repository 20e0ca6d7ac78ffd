-- Writes a file's record, unless the file was deleted in the last 24 h.
-- KEYS: 1 file record, 2 ids removed in the last 24 h
-- ARGV: 1 id, 2 record as JSON
-- Returns 1 when written, else 0
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
