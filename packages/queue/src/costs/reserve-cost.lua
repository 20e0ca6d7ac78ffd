#!lua flags=allow-oom
-- Reserves what calls of one source, a batch or the live calls of a tenant, are expected to cost: the average of that
-- model's calls of the source (cost-account.lua), or until enough are known, what the caller says. The first call for which
-- the money may not be enough holds its batch.
-- KEYS: 1 account of the tenant and 2 its calls, 3 usage of the tenant today; for a batch also 4 its record, 5 its account
--       and 6 its calls
-- ARGV: 1 ms for which a call is reserved, 2 most for the tenant a day and 3 a month in billionths of a dollar, '' without
--       a limit, 4 today, 5 what the tenant has spent in this month before today, then for each call its id, its model and
--       what it may cost at first sight
-- Returns for each call the amount that is reserved, or the name of the limit that it is too much for
local limits, tenant, batch = openLimits(KEYS, { perDay = ARGV[2], perMonth = ARGV[3], day = ARGV[4], spentBefore = ARGV[5] })
local source = batch or tenant
local costs = {}

-- What money must be left for a call where nothing is in flight. While few calls are known, one goes at a time: without it
-- nobody would find out what they cost.
local function leastFor(amount, known) return known.calls < enoughCalls and known.average or amount end

local function isTooMuch(limit, amount, known)
  local room = limit.most - limit.spent - limit.account.reserved
  return room <= 0 or room < (limit.account.reserved > 0 and amount or leastFor(amount, known))
end

local refused
local answers = {}
for i = 6, #ARGV, 3 do
  local model = ARGV[i + 1]
  costs[model] = costs[model] or costOfModel(source.hash, model)
  local known = costs[model]
  local amount = known.calls < enoughCalls and tonumber(ARGV[i + 2]) or known.careful
  for _, limit in ipairs(limits) do
    if not refused and isTooMuch(limit, amount, known) then
      refused = limit.name
      if batch and redis.call('HGET', KEYS[4], 'status') == 'in_progress' then
        redis.call('HSET', KEYS[4], 'costHeld', refused, 'costNeeded', leastFor(amount, known), 'parked', 1)
        redis.call('HDEL', KEYS[4], 'costReached')
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
