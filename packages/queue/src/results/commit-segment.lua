#!lua flags=allow-oom
-- Takes the results that a published segment holds off the stream. Written first, taken off second: a collector that
-- dies between the two leaves the results to another, and the segments to finalize, which keeps the first of each.
-- KEYS: 1 batch record, 2 list of the batch's segments, 3 results stream
-- ARGV: 1 consumer group, 2 segment name, then the stream ids of the results in it
-- Returns 'ready' when every result the batch will have is in a segment, else 'partial'
local taken = 0
for first = 3, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('XACK', KEYS[3], ARGV[1], unpack(ARGV, first, last))
  taken = taken + redis.call('XDEL', KEYS[3], unpack(ARGV, first, last))
end
if redis.call('EXISTS', KEYS[1]) == 0 then return 'partial' end
if taken > 0 then
  redis.call('HINCRBY', KEYS[1], 'collected', taken)
  redis.call('RPUSH', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[1], 'blocked')
end
local record = redis.call('HMGET', KEYS[1], 'collected', 'completed', 'failed', 'total', 'closed')
local settled = (record[2] or 0) + (record[3] or 0)
local expected = record[5] and settled or tonumber(record[4] or -1)
return tonumber(record[1] or 0) == expected and 'ready' or 'partial'
