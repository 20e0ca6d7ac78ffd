#!lua flags=allow-oom
-- Records how a request ended; only its first terminal result counts. Runs before the request's job is finished.
-- KEYS: 1 batch record, 2 bit per settled request, 3 results stream
-- ARGV: 1 batch id, 2 index, 3 'completed' or 'failed', 4 result line, 5 bytes of the input line,
--       6 input tokens, 7 cached tokens, 8 output tokens, 9 reasoning tokens
-- Returns 'recorded', 'duplicate' (it had a result) or 'closed' (its batch takes no more)
local record = redis.call('HMGET', KEYS[1], 'status', 'closed', 'total', 'completed', 'failed', 'dropped')
if not record[1] or record[2] then return 'closed' end
if redis.call('SETBIT', KEYS[2], ARGV[2], 1) == 1 then return 'duplicate' end
redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
redis.call('HINCRBY', KEYS[1], 'settledBytes', ARGV[5])
local usage = { 'inputTokens', 'cachedTokens', 'outputTokens', 'reasoningTokens' }
for i, name in ipairs(usage) do
  if ARGV[5 + i] ~= '0' then redis.call('HINCRBY', KEYS[1], name, ARGV[5 + i]) end
end
local settled = (record[4] or 0) + (record[5] or 0) + (record[6] or 0) + 1
redis.call('XADD', KEYS[3], '*', 'batch', ARGV[1], 'index', ARGV[2], 'status', ARGV[3], 'bytes', ARGV[5], 'line', ARGV[4],
  'left', (record[3] or 0) - settled)
return 'recorded'
