-- Begins to complete a pending upload, or says that the process is still at it. One that says so no more has died.
-- KEYS: 1 upload
-- ARGV: 1 id of the file that is made, 2 hash of the list of parts, 3 ms for which this counts, 0 to give up, 4 file id of
--       the last try that the caller knows, '' for none
-- Returns 'begun', 'missing', 'busy' (another process is at it), 'changed' (there was another try since then) or the
-- status of an upload that is pending no more
local status, file, untilMs = unpack(redis.call('HMGET', KEYS[1], 'status', 'file', 'until'))
if status ~= 'pending' then return status or 'missing' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if (file or '') ~= ARGV[1] then
  if tonumber(untilMs or 0) > now then return 'busy' end
  if (file or '') ~= ARGV[4] then return 'changed' end
end
redis.call('HSET', KEYS[1], 'file', ARGV[1], 'parts', ARGV[2], 'until', string.format('%d', now + ARGV[3]))
return 'begun'
