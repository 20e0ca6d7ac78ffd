-- Notes which requests of a batch are handed off, and in which shards, unless that is decided or the batch has changed since.
-- KEYS: 1 batch record, 2 bit per handed-off request, 3 shards
-- ARGV: 1 number of those requests, 2 their bits, then the plan of each shard
-- Returns 1 when noted, else 0
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'dispatched', 'handedOff')
if record[1] ~= 'in_progress' or record[2] or tonumber(record[3] or 0) > 0 or record[4] then return 0 end
redis.call('HSET', KEYS[1], 'handedOff', ARGV[1], 'shards', #ARGV - 2, 'openShards', #ARGV - 2)
if ARGV[1] == '0' then return 1 end
redis.call('SET', KEYS[2], ARGV[2])
for i = 3, #ARGV do redis.call('HSET', KEYS[3], i - 3, ARGV[i]) end
return 1
