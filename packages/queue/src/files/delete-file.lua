#!lua flags=allow-oom
-- Deletes a file's record, unless a batch needs the file. A deleted record cannot be written again for 24 h.
-- KEYS: 1 file record, 2 batches that need it and since when, 3 index of files, 4 ids removed in the last 24 h and
--       their scores
-- ARGV: 1 id, then batch and time pairs of batches that need it no more, unless they were noted again at another time
-- Returns 'deleted', 'missing', or the batches that need it with their times
for i = 2, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('ZREM', KEYS[2], ARGV[i]) end
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
  return 'missing'
end
local users = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
if #users > 0 then return users end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[4], ARGV[1], redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0)
return 'deleted'
