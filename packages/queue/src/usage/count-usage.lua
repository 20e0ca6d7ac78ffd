-- Adds to what a tenant has used of a model in a day. A day holds some hundred models; any further ones count as one,
-- 'other', since the tenant chooses their names.
local usageFields, usageSeconds = 1000, 400 * 86400
local function countUsage(key, model, sums)
  local count = redis.call('HLEN', key)
  if count >= usageFields and redis.call('HEXISTS', key, 'answers:' .. model) == 0 then model = 'other' end
  local fields, added = {}, {}
  for name, sum in pairs(sums) do
    if sum ~= 0 then
      fields[#fields + 1] = name .. ':' .. model
      added[#added + 1] = sum
    end
  end
  if #fields == 0 then return end
  local written = {}
  for i, before in ipairs(redis.call('HMGET', key, unpack(fields))) do
    written[2 * i - 1] = fields[i]
    written[2 * i] = (before or 0) + added[i]
  end
  redis.call('HSET', key, unpack(written))
  if count == 0 then redis.call('EXPIRE', key, usageSeconds) end
end
