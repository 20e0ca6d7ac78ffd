#!lua flags=allow-oom
-- Moves a batch's dispatch cursor on, unless another dispatcher has.
-- KEYS: 1 batch record, 2 marks: "index offset line" of a request in every so many, so that the input can be read again
--       from near any of them
-- ARGV: 1 dispatched so far as the caller knew it, 2 dispatched now, 3 byte offset and 4 line number of the next line,
--       5 the batch's position in each lane as JSON, 6 requests between marks
-- Returns 1 when moved, else 0
if (redis.call('HGET', KEYS[1], 'dispatched') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'dispatched', ARGV[2], 'cursorOffset', ARGV[3], 'cursorLine', ARGV[4], 'positions', ARGV[5])
if math.floor(ARGV[2] / ARGV[6]) > math.floor(ARGV[1] / ARGV[6]) then
  redis.call('RPUSH', KEYS[2], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
end
return 1
