#!lua flags=allow-oom
-- Moves a batch's dispatch cursor forward, unless another dispatcher has moved it, and says whether the batch wants
-- more requests dispatched.
-- KEYS: 1 batch record, 2 marks: "index offset line" of some requests, so that the input can be read again from near
--       any request
-- ARGV: 1 number of requests dispatched when the caller read the record, 2 number dispatched now, 3 byte offset and 4
--       line number of the next line, 5 the batch's position in each lane as JSON, 6 requests between marks, then of the
--       requests that were passed and not dispatched: 7 repeats that wait for a copy, 8 those that have a copy
--       or a result of a batch API, 9 bytes of the lines of all these, 10 those that wait for a result of a batch API
-- Returns 'moved'; 'halted' when moved, but the batch is paused, stopped or held by a limit of
--         its cost; 'overtaken' when another dispatcher moved it
local record = redis.call('HMGET', KEYS[1], 'dispatched', 'status', 'stopping', 'paused', 'costHeld',
  'waitingRepeats', 'copiedAhead', 'skippedBytes', 'waitingHandedOff')
if (record[1] or '0') ~= ARGV[1] then return 'overtaken' end
local fields = { 'dispatched', ARGV[2], 'cursorOffset', ARGV[3], 'cursorLine', ARGV[4], 'positions', ARGV[5] }
if ARGV[9] ~= '0' then
  local skipped = { 'waitingRepeats', (record[6] or 0) + ARGV[7], 'copiedAhead', math.max(0, (record[7] or 0) - ARGV[8]),
    'skippedBytes', (record[8] or 0) + ARGV[9], 'waitingHandedOff', (record[9] or 0) + ARGV[10] }
  for _, each in ipairs(skipped) do fields[#fields + 1] = each end
end
-- One write: a Redis that loses the end of its append-only file has all of it or nothing.
redis.call('HSET', KEYS[1], unpack(fields))
if math.floor(ARGV[2] / ARGV[6]) > math.floor(ARGV[1] / ARGV[6]) then
  redis.call('RPUSH', KEYS[2], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
end
return record[2] == 'in_progress' and not record[3] and not record[4] and not record[5] and 'moved' or 'halted'
