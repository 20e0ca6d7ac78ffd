#!lua flags=allow-oom
-- Notes why a batch is blocked. Its next segment or status removes the note.
-- KEYS: 1 batch record
-- ARGV: 1 the reason as JSON
-- Returns 1 when the reason is new, else 0
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[1], 'blocked') == ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'blocked', ARGV[1])
return 1
