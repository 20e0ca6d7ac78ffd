-- Decides what a worker does with a request it has just taken: call the provider, or nothing.
-- KEYS: 1 batch record, 2 bit per settled request
-- ARGV: 1 index, 2 bytes of the request's input line
-- Returns 'run', 'settled' (it has its result already) or 'dropped' (its batch no longer wants it)
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'closed')
if not record[1] then return 'dropped' end
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return 'settled' end
if record[1] == 'in_progress' and not record[2] then return 'run' end
if not record[3] then
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], 'dropped', 1)
  redis.call('HINCRBY', KEYS[1], 'settledBytes', ARGV[2])
end
return 'dropped'
