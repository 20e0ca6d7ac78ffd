-- Decides what a worker does with a request it has just taken: call the provider, or nothing.
-- KEYS: 1 batch record, 2 bit per settled request
-- ARGV: 1 index, 2 bytes of the request's input line
-- Returns 'run', 'settled' (it has its result already) or 'dropped' (its batch no longer wants it)
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return 'dropped' end
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return 'settled' end
if status == 'in_progress' then return 'run' end
if redis.call('HEXISTS', KEYS[1], 'closed') == 0 then
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], 'dropped', 1)
  redis.call('HINCRBY', KEYS[1], 'settledBytes', ARGV[2])
end
return 'dropped'
