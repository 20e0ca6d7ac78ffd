#!lua flags=allow-oom
-- Moves a batch to another status if its present status allows that, and writes fields in the same step.
-- KEYS: 1 batch record
-- ARGV: 1 new status, 2 number of statuses that allow it, then those statuses, then field and value pairs
-- Returns the status the batch had before; 'missing' when there is no such batch
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return 'missing' end
local count = tonumber(ARGV[2])
for i = 3, 2 + count do
  if ARGV[i] == status then
    redis.call('HSET', KEYS[1], 'status', ARGV[1], unpack(ARGV, 3 + count))
    redis.call('HDEL', KEYS[1], 'blocked')
    break
  end
end
return status
