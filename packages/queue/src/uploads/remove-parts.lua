#!lua flags=allow-oom
-- Forgets an upload's parts, which count no more.
-- KEYS: 1 bytes of each part, 2 bytes of the tenant's files and parts
local bytes = 0
for _, each in ipairs(redis.call('HVALS', KEYS[1])) do bytes = bytes + each end
redis.call('DEL', KEYS[1])
local left = (redis.call('GET', KEYS[2]) or 0) - bytes
if left > 0 then redis.call('SET', KEYS[2], string.format('%d', left)) else redis.call('DEL', KEYS[2]) end
