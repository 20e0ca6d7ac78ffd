#!lua flags=allow-oom
-- Commits a published segment of results that a batch API gave: lists it, and counts those whose request had no result.
-- Committing it again changes nothing.
-- KEYS: 1 batch record, 2 bit per settled request, 3 bit per handed-off request without a result from its
--       batch API, 4 list of the batch's segments, 5 usage of
--       the batch's tenant today
-- ARGV: 1 segment name, 2 model, then for each result its index, 'completed' or 'failed', its cost in billionths of a dollar
--       or '-' when that is unknown, input tokens, cached tokens, output tokens, reasoning tokens, and input characters
-- Returns how many it counted; -1 when the batch takes no more results
local names = { 'completed', 'failed', 'collected', 'copiedAhead', 'waitingHandedOff', 'inputTokens', 'cachedTokens',
  'outputTokens', 'reasoningTokens', 'spentNanoUsd', 'unpriced' }
local record = redis.call('HMGET', KEYS[1], 'status', 'sealed', 'dispatched', unpack(names))
if record[1] ~= 'in_progress' and record[1] ~= 'cancelling' or record[2] then return -1 end
local dispatched = tonumber(record[3] or 0)
local sums = {}
for i, name in ipairs(names) do sums[name] = tonumber(record[3 + i] or 0) end
local used = { answers = 0, inputTokens = 0, cachedTokens = 0, outputTokens = 0, reasoningTokens = 0,
  inputCharacters = 0, spentNanoUsd = 0, unpriced = 0 }
local counted = 0
for i = 3, #ARGV, 8 do
  local index, status, cost = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if redis.call('SETBIT', KEYS[2], index, 1) == 0 then
    counted = counted + 1
    sums[status] = sums[status] + 1
    -- A request that has come back from its shard counts as one in a lane.
    if redis.call('SETBIT', KEYS[3], index, 0) == 1 then
      if index >= dispatched then sums.copiedAhead = sums.copiedAhead + 1
      else sums.waitingHandedOff = math.max(0, sums.waitingHandedOff - 1) end
    end
    for t = 1, 4 do
      local name = names[5 + t]
      sums[name] = sums[name] + ARGV[i + 2 + t]
      used[name] = used[name] + ARGV[i + 2 + t]
    end
    local paid = 'spentNanoUsd'
    if cost == '-' then paid, cost = 'unpriced', 1 end
    sums[paid] = sums[paid] + cost
    if status == 'completed' then
      used[paid] = used[paid] + cost
      used.answers = used.answers + 1
      used.inputCharacters = used.inputCharacters + ARGV[i + 7]
    end
  end
end
if counted == 0 then return 0 end
sums.collected = sums.collected + counted
redis.call('RPUSH', KEYS[4], ARGV[1])
local fields = {}
for _, name in ipairs(names) do
  fields[#fields + 1] = name
  fields[#fields + 1] = sums[name]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HDEL', KEYS[1], 'blocked')
if used.answers > 0 then countUsage(KEYS[5], ARGV[2], used) end
return counted
