-- Notes that a batch needs a file, if there is such a file, and counts the batch among its tenant's active batches. A
-- batch that counts already counts once. One whose creation broke off counts for an hour.
-- KEYS: 1 file record, 2 batches that need it and since when, 3 active batches and the requests of each, with their sum
--       as `requests`, 4 those whose creation may break off, and since when
-- ARGV: 1 batch id, 2 now in Unix seconds, 3 its requests, 4 most active batches and 5 most requests of all of them, ''
--       without a limit, 6 1 when the creation is done, which no limit refuses, else 0
-- Returns 'noted', 'missing' (the file), or what is over its limit, 'batches' or 'requests', and how many there are
local id, now, requests = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
if redis.call('HEXISTS', KEYS[3], id) == 0 then
  for _, broken in ipairs(redis.call('ZRANGE', KEYS[4], '-inf', now - 3600, 'BYSCORE')) do
    redis.call('HINCRBY', KEYS[3], 'requests', -(redis.call('HGET', KEYS[3], broken) or 0))
    redis.call('HDEL', KEYS[3], broken)
    redis.call('ZREM', KEYS[4], broken)
  end
  local batches = math.max(0, redis.call('HLEN', KEYS[3]) - 1)
  local queued = tonumber(redis.call('HGET', KEYS[3], 'requests') or 0)
  if ARGV[6] == '0' then
    if ARGV[4] ~= '' and batches + 1 > tonumber(ARGV[4]) then return { 'batches', batches } end
    if ARGV[5] ~= '' and queued + requests > tonumber(ARGV[5]) then return { 'requests', queued } end
  end
  redis.call('HSET', KEYS[3], id, requests, 'requests', queued + requests)
  redis.call('ZADD', KEYS[4], now, id)
end
if ARGV[6] == '1' then redis.call('ZREM', KEYS[4], id) end
redis.call('ZADD', KEYS[2], now, id)
return 'noted'
