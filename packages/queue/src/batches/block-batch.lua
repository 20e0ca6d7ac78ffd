#!lua flags=allow-oom
-- Notes why a batch does not get on. Its next segment or status takes the note away.
-- KEYS: 1 batch record
-- ARGV: 1 the reason as JSON
-- Returns 1 when this is another reason than before, else 0
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[1], 'blocked') == ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'blocked', ARGV[1])
return 1
