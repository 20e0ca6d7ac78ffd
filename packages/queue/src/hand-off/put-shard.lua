#!lua flags=allow-oom
-- Changes a shard's state, unless another process has changed it since it was read.
-- KEYS: 1 batch record, 2 shards
-- ARGV: 1 number of the shard, 2 its state when it was read, or '' when it had none, 3 the new one, 4 what that adds to the
--       batch's open shards, and 5 to those that are returning
-- Returns 1 when changed, else 0
local field = ARGV[1] .. ':state'
if (redis.call('HGET', KEYS[2], field) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], field, ARGV[3])
local record = redis.call('HMGET', KEYS[1], 'openShards', 'returningShards')
redis.call('HSET', KEYS[1], 'openShards', math.max(0, (record[1] or 0) + ARGV[4]), 'returningShards',
  math.max(0, (record[2] or 0) + ARGV[5]))
return 1
