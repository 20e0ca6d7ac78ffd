-- Notes how far a batch is: a point of its curve. There are 240 points at most, about evenly spread over its life: when
-- there are more, every second one goes, and the next come half as often. A point that tells nothing new is left out.
-- KEYS: 1 points, each '<Unix seconds> <completed> <failed> <retries>'
-- ARGV: 1 Unix seconds, 2 completed, 3 failed, 4 retries
local counts = table.concat(ARGV, ' ', 2)
local last = redis.call('LINDEX', KEYS[1], -1)
if last then
  local at, known = string.match(last, '^(%d+) (.*)$')
  local first = string.match(redis.call('LINDEX', KEYS[1], 0), '^%d+')
  if known == counts then return end
  if ARGV[1] - at < math.max(1, (at - first) / 120) then return end
end
redis.call('RPUSH', KEYS[1], ARGV[1] .. ' ' .. counts)
if redis.call('LLEN', KEYS[1]) <= 240 then return end
local points = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
for i = 1, #points, 2 do redis.call('RPUSH', KEYS[1], points[i]) end
