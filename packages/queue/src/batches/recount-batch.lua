#!lua flags=allow-oom
-- Sets a batch's counts and bits to what its segments hold, unless the batch has changed since it was read.
-- KEYS: 1 batch record, 2 bit per settled request, 3 list of the batch's segments
-- ARGV: 1 status, 2 completed, 3 failed, 4 collected and 5 dispatched when they were read, 6 the new bits, 7 number of
--       segments to add to the list, then their names, then field and value pairs for the record
-- Returns 1 when set, else 0
local record = redis.call('HMGET', KEYS[1], 'status', 'completed', 'failed', 'collected', 'dispatched')
for i = 1, 5 do
  if (record[i] or '0') ~= ARGV[i] then return 0 end
end
redis.call('SET', KEYS[2], ARGV[6])
local last = 7 + tonumber(ARGV[7])
for i = 8, last do redis.call('RPUSH', KEYS[3], ARGV[i]) end
redis.call('HSET', KEYS[1], unpack(ARGV, last + 1))
return 1
