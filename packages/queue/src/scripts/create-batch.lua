-- Writes a new batch's record, which goes away by itself unless its creation is confirmed.
-- KEYS: 1 batch record
-- ARGV: 1 fixed fields as JSON, 2 status, 3 seconds until it goes away
if redis.call('EXISTS', KEYS[1]) == 1 then return end
redis.call('HSET', KEYS[1], 'fixed', ARGV[1], 'status', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
