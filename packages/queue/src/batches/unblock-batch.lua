#!lua flags=allow-oom
-- Removes the note of why a batch is blocked, if it is still this one.
-- KEYS: 1 batch record
-- ARGV: 1 the reason as JSON
if redis.call('HGET', KEYS[1], 'blocked') == ARGV[1] then redis.call('HDEL', KEYS[1], 'blocked') end
