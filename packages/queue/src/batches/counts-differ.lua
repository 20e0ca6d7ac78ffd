#!lua flags=no-writes
-- Tells whether a batch's counts, bits and segments disagree although none of its results is on the stream. That
-- happens when Redis's append-only file ended within a script's effects: after its next start Redis has only some of
-- them.
-- KEYS: 1 batch record, 2 bit per settled request, 3 results stream
-- ARGV: 1 batch id
-- Returns 1 when they disagree, else 0
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
