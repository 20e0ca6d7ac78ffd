#!lua flags=allow-oom
-- Commits a published segment: lists it and deletes its results from the stream. The segment is written first and its
-- results are deleted second. When a collector dies in between, another writes them again, and finalizing keeps one of
-- each.
-- KEYS: 1 batch record, 2 list of the batch's segments, 3 results stream
-- ARGV: 1 consumer group, 2 segment name, then for each stream entry in the segment its id, its number of results and
--       their bytes
-- Returns 'ready' when every result the batch will have is in a segment, else 'partial'
local taken, bytes = 0, 0
for i = 3, #ARGV, 3 do
  redis.call('XACK', KEYS[3], ARGV[1], ARGV[i])
  -- An entry that another collector has committed is not counted again.
  if redis.call('XDEL', KEYS[3], ARGV[i]) == 1 then
    taken = taken + ARGV[i + 1]
    bytes = bytes + ARGV[i + 2]
  end
end
local record = redis.call('HMGET', KEYS[1], 'status', 'collected', 'uncollectedBytes', 'completed', 'failed', 'total',
  'sealed')
if not record[1] then return 'partial' end
local collected = (record[2] or 0) + taken
if taken > 0 then
  redis.call('HSET', KEYS[1], 'collected', collected, 'uncollectedBytes', (record[3] or 0) - bytes)
  redis.call('RPUSH', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[1], 'blocked')
end
local settled = (record[4] or 0) + (record[5] or 0)
local expected = record[7] and settled or tonumber(record[6] or -1)
return collected == expected and 'ready' or 'partial'
