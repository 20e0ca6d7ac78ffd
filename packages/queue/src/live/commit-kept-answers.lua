#!lua flags=allow-oom
-- Notes where answers of kept calls are in the file store, in place of their text, and deletes their entries from the
-- results stream.
-- KEYS: 1 results stream, then a record for each answer
-- ARGV: 1 consumer group, then a place for each answer, then the ids of the entries
local answers = #KEYS - 1
for i = 1, answers do
  if redis.call('HDEL', KEYS[1 + i], 'text') == 1 then redis.call('HSET', KEYS[1 + i], 'place', ARGV[1 + i]) end
end
for i = 2 + answers, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  redis.call('XDEL', KEYS[1], ARGV[i])
end
