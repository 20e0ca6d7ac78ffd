#!lua flags=allow-oom
-- Takes one of a tenant's places, such as that of an upload, or keeps it. A place that is not kept becomes free: its
-- process has died. An upload also reserves bytes, more and more as it grows.
-- KEYS: 1 places and until when each is taken, 2 bytes reserved with them, 3 bytes of the tenant's files
-- ARGV: 1 id, 2 ms for which the place is taken, 3 most places, '' without a limit, 4 bytes to reserve at least, 5 bytes
--       to reserve if there is room, 6 most bytes of files and uploads together, '' without a limit
-- Returns 'taken' and the bytes reserved, or what is over its limit, 'places' or 'bytes', and how many others take
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id, least = ARGV[1], tonumber(ARGV[4])
for _, left in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE')) do
  redis.call('ZREM', KEYS[1], left)
  redis.call('HDEL', KEYS[2], left)
end
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[1], id) then
  local taken = redis.call('ZCARD', KEYS[1])
  if taken + 1 > tonumber(ARGV[3]) then return { 'places', taken } end
end
local reserved = least
if ARGV[6] ~= '' then
  local used = tonumber(redis.call('GET', KEYS[3]) or 0) - (redis.call('HGET', KEYS[2], id) or 0)
  for _, bytes in ipairs(redis.call('HVALS', KEYS[2])) do used = used + bytes end
  local room = tonumber(ARGV[6]) - used
  if least > room then return { 'amount', used } end
  reserved = math.min(room, tonumber(ARGV[5]))
  redis.call('HSET', KEYS[2], id, string.format('%d', reserved))
end
redis.call('ZADD', KEYS[1], now + ARGV[2], id)
return { 'taken', reserved }
