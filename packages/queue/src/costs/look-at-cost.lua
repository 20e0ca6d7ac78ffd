#!lua flags=allow-oom
-- Looks whether a batch that a limit of its cost holds may go on: when there is money for the call that was refused and for
-- as many again as are in flight. Ends the hold then.
-- KEYS: 1 account of the tenant and 2 its calls, 3 usage of the tenant today, 4 record of the batch, 5 its account and
--       6 its calls (cost-account.lua)
-- ARGV: 1 most for the tenant a day and 2 a month in billionths of a dollar, '' without a limit, 3 today, 4 what the tenant
--       has spent in this month before today
-- Returns { '' when the batch may go on, else the limit, 1 when calls are in flight under it, what has been spent of it,
--           what it allows }
local needed = tonumber(redis.call('HGET', KEYS[4], 'costNeeded') or 0)
local limits = openLimits(KEYS, { perDay = ARGV[1], perMonth = ARGV[2], day = ARGV[3], spentBefore = ARGV[4] })
for _, limit in ipairs(limits) do
  local reserved = limit.account.reserved
  local room = limit.most - limit.spent - reserved
  if room <= 0 or room < math.max(needed, reserved) then
    redis.call('HSET', KEYS[4], 'costHeld', limit.name)
    return { limit.name, reserved > 0 and 1 or 0, string.format('%.0f', limit.spent), string.format('%.0f', limit.most) }
  end
end
redis.call('HDEL', KEYS[4], 'costHeld', 'costNeeded', 'costReached')
return { '', 0, '0', '0' }
