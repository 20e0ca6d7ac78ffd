-- Adds an id to a newest-first index. Scores rise strictly, so that a page can start after any entry. An id that was
-- removed in the last 24 h is not added.
-- KEYS: 1 index, 2 ids removed in the last 24 h, 3 an index of some of the ids with the same scores, if there is one
-- ARGV: 1 id, 2 now in microseconds
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return end
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if known then
  if KEYS[3] then redis.call('ZADD', KEYS[3], known, ARGV[1]) end
  return
end
local newest = redis.call('ZRANGE', KEYS[1], 0, 0, 'REV', 'WITHSCORES')
local score = tonumber(ARGV[2])
if newest[2] and tonumber(newest[2]) >= score then score = tonumber(newest[2]) + 1 end
for _, index in ipairs({ KEYS[1], KEYS[3] }) do redis.call('ZADD', index, string.format('%.0f', score), ARGV[1]) end
