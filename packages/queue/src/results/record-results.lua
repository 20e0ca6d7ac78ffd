#!lua flags=allow-oom
-- Records results of one batch's requests, before their jobs end. Only the first result of each request counts. The
-- accepted results become one entry of the stream and one write of the record: a Redis that loses the end of its
-- append-only file has all of their counts or none. An answer that does not count was paid for in vain.
-- KEYS: 1 batch record, 2 bit per settled request, 3 results stream, and when a call was made for any of the results,
--       4 usage of the batch's tenant today
-- ARGV: 1 batch id, then for each request: its segment entry '<index>\t<completed|failed>\t<bytes>\t<cost>\t<line>\n', input
--       tokens, cached tokens, output tokens, reasoning tokens, input characters, model; '' as the model when no call was
--       made, 1 when flex has answered, else 0
-- Returns for each request 'recorded', 'duplicate' (it had a result) or 'sealed' (its batch takes no more)
local names = { 'completed', 'failed', 'settledBytes', 'uncollectedBytes', 'inputTokens', 'cachedTokens', 'outputTokens',
  'reasoningTokens', 'spentNanoUsd', 'unpriced', 'wastedNanoUsd', 'unpricedWaste', 'flexAnswers', 'flexNanoUsd' }
local record = redis.call('HMGET', KEYS[1], 'status', 'sealed', 'total', 'dropped', unpack(names))
local isSealed = not record[1] or record[2]
local added = {}
for _, name in ipairs(names) do added[name] = 0 end
local usedOf = {}
local answers, entries = {}, {}
for i = 2, #ARGV, 8 do
  local entry, model = ARGV[i], ARGV[i + 6]
  local index, status, bytes, cost = string.match(entry, '^(%d+)\t(%a+)\t(%d+)\t([%d-]+)\t')
  local answer = 'sealed'
  if not isSealed then
    answer = redis.call('SETBIT', KEYS[2], index, 1) == 1 and 'duplicate' or 'recorded'
  end
  local used = usedOf[model] or { answers = 0, inputTokens = 0, cachedTokens = 0, outputTokens = 0, reasoningTokens = 0,
    inputCharacters = 0, spentNanoUsd = 0, unpriced = 0, wastedNanoUsd = 0, unpricedWaste = 0 }
  usedOf[model] = used
  if answer == 'recorded' then
    entries[#entries + 1] = entry
    added[status] = added[status] + 1
    added.settledBytes = added.settledBytes + bytes
    added.uncollectedBytes = added.uncollectedBytes + #entry
    for t = 1, 4 do
      local name = names[4 + t]
      added[name] = added[name] + ARGV[i + t]
      used[name] = used[name] + ARGV[i + t]
    end
    used.answers = used.answers + 1
    used.inputCharacters = used.inputCharacters + ARGV[i + 5]
    if ARGV[i + 7] == '1' then
      added.flexAnswers = added.flexAnswers + 1
      added.flexNanoUsd = added.flexNanoUsd + (tonumber(cost) or 0)
    end
  end
  local name = answer == 'recorded' and 'spentNanoUsd' or 'wastedNanoUsd'
  if cost == '-' then name, cost = answer == 'recorded' and 'unpriced' or 'unpricedWaste', 1 end
  added[name] = added[name] + cost
  used[name] = used[name] + cost
  answers[#answers + 1] = answer
end
-- A batch that is over changes no more.
if record[1] ~= 'in_progress' then added.wastedNanoUsd, added.unpricedWaste = 0, 0 end
local fields = {}
for i, name in ipairs(names) do
  if added[name] ~= 0 then
    fields[#fields + 1] = name
    fields[#fields + 1] = (record[4 + i] or 0) + added[name]
  end
end
if #fields > 0 and not isSealed then redis.call('HSET', KEYS[1], unpack(fields)) end
if #entries > 0 then
  local settled = (record[4] or 0) + (record[5] or 0) + (record[6] or 0) + #entries
  -- results-stream.ts and counts-differ.lua rely on the order of the fields.
  redis.call('XADD', KEYS[3], '*', 'batch', ARGV[1], 'left', (record[3] or 0) - settled, 'count', #entries,
    'results', #entries == 1 and entries[1] or table.concat(entries))
end
for model, used in pairs(usedOf) do
  if model ~= '' then countUsage(KEYS[4], model, used) end
end
return answers
