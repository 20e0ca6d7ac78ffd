#!lua flags=allow-oom
-- Counts the bytes of input lines that a batch has in its lanes, and reserves more for it. Each batch notes its own
-- bytes, so a count that Redis has lost is right again with the batch's next note.
-- KEYS: 1 batch record, 2 bytes of each batch of its tenant, 3 bytes of each tenant
-- ARGV: 1 batch id, 2 tenant, 3 most bytes of a tenant, 4 most bytes of all tenants, 5 bytes that the batch wants to have
--       in all; 0 reserves none; -1 when the batch has ended
-- Returns how many bytes it may have
local tenantKey, allKey = KEYS[2], KEYS[3]
local id, tenant = ARGV[1], ARGV[2]
local mostOfTenant, mostOfAll, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function sum(key)
  local values = redis.call('HVALS', key)
  local total = 0
  for _, value in ipairs(values) do total = total + value end
  return total, #values
end
local function note(key, field, bytes)
  if bytes > 0 then redis.call('HSET', key, field, bytes) else redis.call('HDEL', key, field) end
end

local record = redis.call('HMGET', KEYS[1], 'cursorOffset', 'settledBytes', 'countedBytes', 'skippedBytes')
local bytes = wanted < 0 and 0 or math.max(0, (record[1] or 0) - (record[4] or 0) - (record[2] or 0))
note(tenantKey, id, bytes)
local ofTenant, batches = sum(tenantKey)
note(allKey, tenant, ofTenant)
if wanted > bytes then
  local ofAll, tenants = sum(allKey)
  if bytes == 0 then batches = batches + 1 end
  if ofTenant == 0 then tenants = tenants + 1 end
  -- Beyond the most, what has less than half of its even share goes on, so that nobody stops another.
  local room = math.max(mostOfTenant - ofTenant, mostOfTenant / (2 * batches) - bytes)
  room = math.min(room, math.max(mostOfAll - ofAll, mostOfAll / (2 * tenants) - ofTenant))
  local reserved = math.floor(math.max(0, math.min(room, wanted - bytes)))
  bytes = bytes + reserved
  note(tenantKey, id, bytes)
  note(allKey, tenant, ofTenant + reserved)
end
if wanted >= 0 and tonumber(record[3] or 0) ~= bytes and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'countedBytes', bytes)
end
return bytes
