#!lua flags=allow-oom
-- Records the answer to a kept call, before its job ends. Only the first answer counts. A collector moves its text into
-- the file store.
-- KEYS: 1 record, 2 the tenant's kept calls under way, 3 results stream
-- ARGV: 1 call id, 2 name of the stream's entries of kept calls, 3 the answer but for its text, 4 text, 5 'isStream' when
--       the text is the events of a stream, 6 'mayPass' when it is a failure that a new call may not meet; else ''
-- Returns the api processes that wait for the answer; false when it is not the first answer, or nobody wants one
local status, apis, keepMs = unpack(redis.call('HMGET', KEYS[1], 'status', 'apis', 'keepMs'))
if status ~= 'queued' and status ~= 'in_progress' then return false end
redis.call('HSET', KEYS[1], 'status', 'answered', 'meta', ARGV[3])
redis.call('HDEL', KEYS[1], 'apis', 'left')
for i = 5, 6 do
  if ARGV[i] ~= '' then redis.call('HSET', KEYS[1], ARGV[i], 1) end
end
redis.call('PEXPIRE', KEYS[1], keepMs)
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'text', ARGV[4])
  -- results-stream.ts relies on the order of the fields. Nothing ends with this one, so it may wait for others.
  redis.call('XADD', KEYS[3], '*', 'batch', ARGV[2], 'left', 1000, 'count', 1, 'results', ARGV[1] .. '\n')
end
return apis
