-- Notes which requests of a batch repeat others, unless another process has noted it since the batch was read.
-- KEYS: 1 batch record, 2 bit per repeat
-- ARGV: 1 the list of repeats that the record named then, or '', 2 the new list, 3 the bits, 4 number of repeats, 5 number of
--       requests that get no call
-- Returns 1 when noted, else 0
local record = redis.call('HMGET', KEYS[1], 'status', 'repeatList')
if not record[1] or (record[2] or '') ~= ARGV[1] then return 0 end
if ARGV[4] == '0' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[3]) end
redis.call('HSET', KEYS[1], 'repeatList', ARGV[2], 'repeats', ARGV[4], 'uncalled', ARGV[5])
return 1
