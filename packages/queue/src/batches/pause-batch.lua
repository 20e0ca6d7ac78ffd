#!lua flags=allow-oom
-- Pauses a batch or lets it go on, while requests of it may still be begun. Doing either again changes nothing. A batch's
-- pauses and resumes are numbered, so that one which Redis has lost can be done again, and one which it knows is not.
-- KEYS: 1 batch record
-- ARGV: 1 Unix seconds since when it is paused, or '' to let it go on, 2 the number of what is done again, else ''
-- Returns the number when done, 'known' when it, or a later one, was done before; else what keeps it: the batch's status,
--         or the one it is about to have; 'missing' when there is no such batch
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'pauses')
if not record[1] then return 'missing' end
local known = tonumber(record[3] or 0)
local number = tonumber(ARGV[2]) or known + 1
if number <= known then return 'known' end
if record[1] ~= 'validating' and record[1] ~= 'in_progress' then return record[1] end
if record[2] then return record[2] end
redis.call('HSET', KEYS[1], 'pauses', number)
if ARGV[1] == '' then redis.call('HDEL', KEYS[1], 'paused') else redis.call('HSETNX', KEYS[1], 'paused', ARGV[1]) end
return number
