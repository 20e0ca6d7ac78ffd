-- Writes a webhook, unless it has changed since the caller read it.
-- KEYS: 1 the tenant's webhooks
-- ARGV: 1 id, 2 the webhook as JSON, 3 the webhook as the caller knows it, '' for a new one, 4 most webhooks of the tenant,
--       which counts for a new one
-- Returns 'put', 'changed' or 'full'
if ARGV[3] == '' then
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
elseif redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then
  return 'changed'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'put'
