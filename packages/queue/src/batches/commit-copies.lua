#!lua flags=allow-oom
-- Commits a published segment of copies: lists it, and counts those whose request had no result. Committing it again
-- changes nothing.
-- KEYS: 1 batch record, 2 bit per settled request, 3 list of the batch's segments
-- ARGV: 1 segment name, then for each copy its index, 'completed' or 'failed', and what it saved in billionths of a dollar,
--       or '-' when that is unknown
-- Returns how many it counted; -1 when the batch wants no more copies
local names = { 'completed', 'failed', 'collected', 'copied', 'copiedAhead', 'waitingRepeats', 'savedNanoUsd',
  'unpricedSaved' }
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'sealed', 'dispatched', unpack(names))
if record[1] ~= 'in_progress' or record[2] or record[3] then return -1 end
local dispatched = tonumber(record[4] or 0)
local sums = {}
for i, name in ipairs(names) do sums[name] = tonumber(record[4 + i] or 0) end
local counted = 0
for i = 2, #ARGV, 3 do
  local index, status, saved = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if redis.call('SETBIT', KEYS[2], index, 1) == 0 then
    counted = counted + 1
    sums[status] = sums[status] + 1
    if index >= dispatched then sums.copiedAhead = sums.copiedAhead + 1
    else sums.waitingRepeats = math.max(0, sums.waitingRepeats - 1) end
    if saved == '-' then sums.unpricedSaved = sums.unpricedSaved + 1
    else sums.savedNanoUsd = sums.savedNanoUsd + saved end
  end
end
if counted == 0 then return 0 end
sums.collected = sums.collected + counted
sums.copied = sums.copied + counted
redis.call('RPUSH', KEYS[3], ARGV[1])
local fields = {}
for _, name in ipairs(names) do
  fields[#fields + 1] = name
  fields[#fields + 1] = sums[name]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HDEL', KEYS[1], 'blocked')
return counted
