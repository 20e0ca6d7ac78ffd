-- Names a retry in the record of the batch that it retries, once. The record names the last 100.
-- KEYS: 1 record of the batch that was retried
-- ARGV: 1 id of the retry
if redis.call('EXISTS', KEYS[1]) == 0 then return end
local known = redis.call('HGET', KEYS[1], 'retriedBy')
local ids = known and cjson.decode(known) or {}
for _, id in ipairs(ids) do
  if id == ARGV[1] then return end
end
table.insert(ids, ARGV[1])
if #ids > 100 then table.remove(ids, 1) end
redis.call('HSET', KEYS[1], 'retriedBy', cjson.encode(ids))
