-- Frees an idempotency key, if its claim is still the one that the caller knows.
-- KEYS: 1 claim
-- ARGV: 1 the claim as the caller knows it
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
