#!lua flags=allow-oom
-- Counts a call of a batch that failed and is made again. A batch that is over changes no more.
-- KEYS: 1 batch record
-- ARGV: none
if redis.call('HGET', KEYS[1], 'status') == 'in_progress' then redis.call('HINCRBY', KEYS[1], 'retries', 1) end
