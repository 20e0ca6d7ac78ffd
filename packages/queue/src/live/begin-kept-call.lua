#!lua
-- Makes the record of a kept call, or finds what has become of it.
-- KEYS: 1 record, 2 the tenant's kept calls under way
-- ARGV: 1 call id, 2 how long it is kept in ms, 3 most calls of the tenant under way, 4 the api process that waits for
--       the answer, '' when none does, 5 how many fallbacks it has left, then fields of a new record and their values
-- Returns 'new', 'joined' (it is under way), 'moved' (it is under way in a fallback's lane), 'ended', 'passed' (it has
--         failed, and would not fail again) or 'full', and how many of the tenant's calls are under way
local status, apis, left, mayPass = unpack(redis.call('HMGET', KEYS[1], 'status', 'apis', 'left', 'mayPass'))
if status == 'answered' or status == 'cancelled' then return { mayPass and 'passed' or 'ended', 0 } end
if status then
  if ARGV[4] ~= '' and not string.find(apis, ARGV[4], 1, true) then
    redis.call('HSET', KEYS[1], 'apis', apis .. ' ' .. ARGV[4])
  end
  return { left == ARGV[5] and 'joined' or 'moved', 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local underWay = redis.call('ZCARD', KEYS[2])
if underWay >= tonumber(ARGV[3]) and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return { 'full', underWay } end
redis.call('HSET', KEYS[1], 'status', 'queued', 'keepMs', ARGV[2], 'apis', ARGV[4], 'left', ARGV[5], 'createdAt', time[1],
  unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return { 'new', underWay + 1 }
