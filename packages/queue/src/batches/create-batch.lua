-- Writes a new batch's record, which expires unless the batch's creation is confirmed.
-- KEYS: 1 batch record
-- ARGV: 1 fixed fields as JSON, 2 status, 3 seconds until it expires, 4 most that it may cost in billionths of a dollar, or ''
if redis.call('HEXISTS', KEYS[1], 'fixed') == 1 then return end
-- If Redis lost the record while a step was under way, that step has written some fields.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fixed', ARGV[1], 'status', ARGV[2])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'maxCostNanoUsd', ARGV[4]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
