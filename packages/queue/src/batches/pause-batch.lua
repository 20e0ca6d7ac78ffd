#!lua flags=allow-oom
-- Pauses or resumes a batch that may still start calls. Doing either again changes nothing. A batch's pauses and
-- resumes are numbered: one that Redis has lost can be repeated, and one that Redis knows is not.
-- KEYS: 1 batch record
-- ARGV: 1 time of the pause in Unix seconds, or '' to resume, 2 number of the pause or resume that is repeated, else '',
--       3 most that the batch may cost from now on in billionths of a dollar, or ''. It ends a wait for money
-- Returns the number when done; 'known' when this one or a later one was done before; 'missing' when there is no such
--         batch; else the status that forbids it, which the batch has or is about to have
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'pauses')
if not record[1] then return 'missing' end
local known = tonumber(record[3] or 0)
local number = tonumber(ARGV[2]) or known + 1
if number <= known then return 'known' end
if record[1] ~= 'validating' and record[1] ~= 'in_progress' then return record[1] end
if record[2] then return record[2] end
redis.call('HSET', KEYS[1], 'pauses', number)
if ARGV[1] == '' then redis.call('HDEL', KEYS[1], 'paused') else redis.call('HSETNX', KEYS[1], 'paused', ARGV[1]) end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'maxCostNanoUsd', ARGV[3])
  redis.call('HDEL', KEYS[1], 'costHeld', 'costNeeded', 'costReached')
end
return number
