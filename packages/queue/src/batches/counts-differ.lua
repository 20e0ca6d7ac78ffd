#!lua flags=no-writes
-- Whether a batch's books are wrong: its counts, its bits and what is in its segments differ, though no result of it is on
-- its way there. A Redis that lost the end of its append-only file may have half of a script's effects, from its next start
-- on.
-- KEYS: 1 batch record, 2 bit per settled request, 3 results stream
-- ARGV: 1 batch id
-- Returns 1 when they are, else 0
local record = redis.call('HMGET', KEYS[1], 'completed', 'failed', 'collected', 'dropped')
local settled = (record[1] or 0) + (record[2] or 0)
if settled == tonumber(record[3] or 0) and settled + (record[4] or 0) == redis.call('BITCOUNT', KEYS[2]) then return 0 end
local from = '-'
while true do
  -- Few at a time: an entry holds the results of many requests.
  local entries = redis.call('XRANGE', KEYS[3], from, '+', 'COUNT', 10)
  for _, entry in ipairs(entries) do
    if entry[2][2] == ARGV[1] then return 0 end
  end
  if #entries < 10 then return 1 end
  from = '(' .. entries[10][1]
end
