#!lua flags=allow-oom
-- Gives back what was reserved for calls of one source (cost-account.lua), whose costs are in the batch's record and the
-- tenant's usage by now. A call of unknown cost is taken for what was reserved.
-- KEYS: 1 account of the tenant and 2 its calls; for a batch also 3 its account and 4 its calls
-- ARGV: 1 today, then for each call with its amount, as it is in the sets: that, its model, and what it cost in
--       billionths of a dollar: '-' when that is unknown, '' when it was not called or gave no answer
-- Returns for each call 1
local tenant = { hash = KEYS[1], set = KEYS[2] }
local batch = KEYS[3] and { hash = KEYS[3], set = KEYS[4] }
local source = batch or tenant
local answers = {}
for i = 2, #ARGV, 3 do
  local member, model, cost = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  removeMember(tenant, member)
  if batch then removeMember(batch, member) end
  if cost == '-' then
    local amount = amountOf(member)
    if batch then redis.call('HINCRBY', batch.hash, 'assumed', amount) end
    redis.call('HINCRBY', tenant.hash, 'assumed:' .. ARGV[1], amount)
    redis.call('HINCRBY', tenant.hash, 'assumed:' .. string.sub(ARGV[1], 1, 7), amount)
  elseif cost ~= '' then
    learnCost(source.hash, model, tonumber(cost))
  end
  answers[#answers + 1] = 1
end
return answers
