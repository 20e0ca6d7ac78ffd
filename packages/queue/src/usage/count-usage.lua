-- Adds to what a tenant has used of a model in a day. A day holds some hundred models; any further ones count as one,
-- 'other', since the tenant chooses their names.
local usageFields, usageSeconds = 1000, 400 * 86400
local function countUsage(key, model, sums)
  if redis.call('HLEN', key) >= usageFields and redis.call('HEXISTS', key, 'answers:' .. model) == 0 then
    model = 'other'
  end
  for name, sum in pairs(sums) do
    if sum ~= 0 then redis.call('HINCRBY', key, name .. ':' .. model, sum) end
  end
  redis.call('EXPIRE', key, usageSeconds, 'NX')
end
