#!lua flags=allow-oom
-- Ends a pending upload.
-- KEYS: 1 upload
-- ARGV: 1 its new status, 'completed' or 'cancelled', 2 id of the file that completes it, '' for none
-- Returns 'ended', 'missing', 'busy' (it is being completed, so it cannot be cancelled), 'changed' (another file is being
-- made) or the status of an upload that is pending no more
local status, file, untilMs = unpack(redis.call('HMGET', KEYS[1], 'status', 'file', 'until'))
if status ~= 'pending' then return status or 'missing' end
if ARGV[1] == 'completed' and file ~= ARGV[2] then return 'changed' end
local time = redis.call('TIME')
if ARGV[1] == 'cancelled' and tonumber(untilMs or 0) > time[1] * 1000 + math.floor(time[2] / 1000) then return 'busy' end
redis.call('HSET', KEYS[1], 'status', ARGV[1])
redis.call('HDEL', KEYS[1], 'until')
return 'ended'
