#!lua flags=allow-oom
-- Notes how a provider refused a request of a batch. It does not bring back a batch that has been removed.
-- KEYS: 1 batch record
-- ARGV: 1 the refusal as JSON
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'lastRefusal', ARGV[1]) end
