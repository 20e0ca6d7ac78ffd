#!lua flags=allow-oom
-- Deletes a file's record, unless a batch needs the file. A deleted record cannot be written again for 24 h.
-- KEYS: 1 file record, 2 batches that need it and since when, 3 index of files, 4 ids removed in the last 24 h and
--       their scores, 5 bytes of the tenant's files, 6 uploads under way, 7 bytes reserved for them (put-file.lua)
-- ARGV: 1 id, then batch and time pairs of batches that need it no more, unless they were noted again at another time
-- Returns 'deleted', 'missing', or the batches that need it with their times
for i = 2, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('ZREM', KEYS[2], ARGV[i]) end
end
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('HDEL', KEYS[7], ARGV[1])
local record = redis.call('GET', KEYS[1])
if not record then
  redis.call('DEL', KEYS[2])
  return 'missing'
end
local users = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
if #users > 0 then return users end
redis.call('DEL', KEYS[1])
local left = (redis.call('GET', KEYS[5]) or 0) - cjson.decode(record).bytes
if left > 0 then redis.call('SET', KEYS[5], string.format('%d', left)) else redis.call('DEL', KEYS[5]) end
redis.call('HSET', KEYS[4], ARGV[1], redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0)
return 'deleted'
