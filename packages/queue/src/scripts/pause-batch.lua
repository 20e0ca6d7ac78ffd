#!lua flags=allow-oom
-- Pauses a batch or lets it go on, while requests of it may still be begun. Doing either again changes nothing.
-- KEYS: 1 batch record
-- ARGV: 1 Unix seconds since when it is paused, or '' to let it go on
-- Returns 'done', else what keeps it: its status, or the one it is about to have; 'missing' when there is no such batch
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping')
if not record[1] then return 'missing' end
if record[1] ~= 'validating' and record[1] ~= 'in_progress' then return record[1] end
if record[2] then return record[2] end
if ARGV[1] == '' then redis.call('HDEL', KEYS[1], 'paused') else redis.call('HSETNX', KEYS[1], 'paused', ARGV[1]) end
return 'done'
