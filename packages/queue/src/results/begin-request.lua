#!lua flags=allow-oom
-- Decides what a worker does with a request it has just taken: call the provider, or nothing.
-- KEYS: 1 batch record, 2 bit per settled request
-- ARGV: 1 index, 2 bytes of the request's input line
-- Returns 'run', 'settled' (it has its result already), 'paused' (its batch wants it later; the record then says that
--         there are such requests) or 'dropped' (its batch no longer wants it)
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'closed', 'paused')
if not record[1] then return 'dropped' end
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return 'settled' end
-- One that is being validated again, since Redis has lost its latest state, wants it later too.
if (record[1] == 'in_progress' or record[1] == 'validating') and not record[2] then
  if record[1] == 'in_progress' and not record[4] then return 'run' end
  redis.call('HSET', KEYS[1], 'parked', 1)
  return 'paused'
end
if not record[3] then
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], 'dropped', 1)
  redis.call('HINCRBY', KEYS[1], 'settledBytes', ARGV[2])
end
return 'dropped'
