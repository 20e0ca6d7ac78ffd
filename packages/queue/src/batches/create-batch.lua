-- Writes a new batch's record, which goes away by itself unless its creation is confirmed.
-- KEYS: 1 batch record
-- ARGV: 1 fixed fields as JSON, 2 status, 3 seconds until it goes away
if redis.call('HEXISTS', KEYS[1], 'fixed') == 1 then return end
-- What a step wrote that was under way when Redis lost the record.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fixed', ARGV[1], 'status', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
