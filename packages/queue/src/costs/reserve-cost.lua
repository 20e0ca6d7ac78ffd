#!lua flags=allow-oom
-- Reserves what calls of one source, a batch or the live calls of a tenant, are expected to cost: the average of that
-- model's calls of the source (cost-account.lua). Where that is unknown, what the caller says; and one call may go, where
-- any money is left, to find it out. The first call for which the money may not be enough holds its batch.
-- KEYS: 1 account of the tenant and 2 its calls, 3 usage of the tenant today; for a batch also 4 its record, 5 its account
--       and 6 its calls
-- ARGV: 1 ms for which a call is reserved, 2 most for the tenant a day and 3 a month in billionths of a dollar, '' without
--       a limit, 4 today, 5 what the tenant has spent in this month before today, then for each call its id, its model and
--       what it may cost at first sight
-- Returns for each call the amount that is reserved, or the name of the limit that it is too much for
local limits, tenant, batch = openLimits(KEYS, { perDay = ARGV[2], perMonth = ARGV[3], day = ARGV[4], spentBefore = ARGV[5] })
local source = batch or tenant
local averages = {}
local function averageOf(model)
  if not averages[model] then
    averages[model] = redis.call('HMGET', source.hash, 'calls:' .. model, 'average:' .. model)
  end
  return tonumber(averages[model][1] or 0), tonumber(averages[model][2] or 0)
end

local refused
local answers = {}
for i = 6, #ARGV, 3 do
  local model = ARGV[i + 1]
  local calls, average = averageOf(model)
  local amount = calls == 0 and tonumber(ARGV[i + 2]) or average
  if not refused then
    for _, limit in ipairs(limits) do
      local reserved = limit.account.reserved
      -- Few calls say little of the next ones.
      local margin = reserved > 0 and calls > 0 and calls < 10 and 2 or 1
      local isOver = limit.spent + reserved + amount * margin > limit.most
      if calls == 0 and reserved == 0 then isOver = limit.spent >= limit.most end
      if isOver then
        refused = limit.name
        if batch and redis.call('HGET', KEYS[4], 'status') == 'in_progress' then
          redis.call('HSET', KEYS[4], 'costHeld', refused, 'costNeeded', calls == 0 and 0 or amount, 'parked', 1)
          redis.call('HDEL', KEYS[4], 'costReached')
        end
        break
      end
    end
  end
  if not refused then
    local member = ARGV[i] .. ' ' .. string.format('%.0f', amount)
    keepMember(tenant, member, ARGV[1])
    tenant.reserved = tenant.reserved + amount
    if batch then
      keepMember(batch, member, ARGV[1])
      batch.reserved = batch.reserved + amount
    end
  end
  answers[#answers + 1] = refused or amount
end
return answers
