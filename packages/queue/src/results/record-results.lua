#!lua flags=allow-oom
-- Records results of one batch's requests, before their jobs end. Only the first result of each request counts. The
-- accepted results become one entry of the stream and one write of the record: a Redis that loses the end of its
-- append-only file has all of their counts or none.
-- KEYS: 1 batch record, 2 bit per settled request, 3 results stream
-- ARGV: 1 batch id, then for each request: its segment entry '<index>\t<completed|failed>\t<bytes>\t<line>\n', input tokens,
--       cached tokens, output tokens, reasoning tokens
-- Returns for each request 'recorded', 'duplicate' (it had a result) or 'sealed' (its batch takes no more)
local names = { 'completed', 'failed', 'settledBytes', 'uncollectedBytes', 'inputTokens', 'cachedTokens', 'outputTokens',
  'reasoningTokens' }
local record = redis.call('HMGET', KEYS[1], 'status', 'sealed', 'total', 'dropped', unpack(names))
local isSealed = not record[1] or record[2]
local added = {}
for _, name in ipairs(names) do added[name] = 0 end
local answers, entries = {}, {}
for i = 2, #ARGV, 5 do
  local entry = ARGV[i]
  local index, status, bytes = string.match(entry, '^(%d+)\t(%a+)\t(%d+)\t')
  local answer = 'sealed'
  if not isSealed then
    answer = redis.call('SETBIT', KEYS[2], index, 1) == 1 and 'duplicate' or 'recorded'
  end
  if answer == 'recorded' then
    entries[#entries + 1] = entry
    added[status] = added[status] + 1
    added.settledBytes = added.settledBytes + bytes
    added.uncollectedBytes = added.uncollectedBytes + #entry
    for t = 1, 4 do
      local name = names[4 + t]
      added[name] = added[name] + ARGV[i + t]
    end
  end
  answers[#answers + 1] = answer
end
if #entries == 0 then return answers end
local fields = {}
for i, name in ipairs(names) do
  if added[name] ~= 0 then
    fields[#fields + 1] = name
    fields[#fields + 1] = (record[4 + i] or 0) + added[name]
  end
end
redis.call('HSET', KEYS[1], unpack(fields))
local settled = (record[4] or 0) + (record[5] or 0) + (record[6] or 0) + #entries
-- results-stream.ts and counts-differ.lua rely on the order of the fields.
redis.call('XADD', KEYS[3], '*', 'batch', ARGV[1], 'left', (record[3] or 0) - settled, 'count', #entries,
  'results', #entries == 1 and entries[1] or table.concat(entries))
return answers
