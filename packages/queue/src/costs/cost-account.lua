-- What calls in flight are expected to cost is reserved in accounts: that of the tenant, and that of the batch. An account is
-- a hash and a sorted set. The set has a member '<call id> <amount>' for each call, and the time until which it counts. The
-- hash has their sum `reserved`, what calls of unknown cost are taken for (`assumed`), and for each model the number of its
-- calls, their average cost and its variance. Amounts are billionths of a dollar. A call that nobody keeps counts no more, since its
-- worker has died.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Averages follow the latest calls, about this many.
local averageCalls = 200
-- Fewer calls say too little of the next ones: a few answers are often many times longer than most.
local enoughCalls = 10
local accountSeconds = 40 * 86400

local function amountOf(member) return tonumber(string.match(member, ' (%d+)$')) end

local function addReserved(account, amount)
  if redis.call('ZCARD', account.set) == 0 then redis.call('HDEL', account.hash, 'reserved')
  elseif amount ~= 0 then redis.call('HINCRBY', account.hash, 'reserved', amount) end
end

local function openAccount(hash, set)
  local account = { hash = hash, set = set }
  local lost = redis.call('ZRANGEBYSCORE', set, '-inf', now)
  if #lost > 0 then
    local sum = 0
    for _, member in ipairs(lost) do sum = sum + amountOf(member) end
    redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
    addReserved(account, -sum)
  end
  account.reserved = tonumber(redis.call('HGET', hash, 'reserved') or 0)
  return account
end

local function keepMember(account, member, lastsMs)
  if redis.call('ZADD', account.set, now + lastsMs, member) == 1 then addReserved(account, amountOf(member)) end
  redis.call('EXPIRE', account.hash, accountSeconds)
  redis.call('EXPIRE', account.set, accountSeconds)
end

local function removeMember(account, member)
  if redis.call('ZREM', account.set, member) == 1 then addReserved(account, -amountOf(member)) end
end

-- What is known of a model's calls: their number, and what the next will cost on average: as it was, and twice the standard
-- error more, so that the sum of many is not too low.
local function costOfModel(hash, model)
  local known = redis.call('HMGET', hash, 'calls:' .. model, 'average:' .. model, 'variance:' .. model)
  local calls, average, variance = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3] or 0)
  local careful = average + 2 * math.sqrt(variance / math.max(1, math.min(calls, averageCalls)))
  return { calls = calls, average = average, variance = variance, careful = math.ceil(careful) }
end

local function learnCost(hash, model, cost)
  local known = costOfModel(hash, model)
  local weight = 1 / math.min(known.calls + 1, averageCalls)
  local off = cost - known.average
  redis.call('HSET', hash, 'calls:' .. model, known.calls + 1, 'average:' .. model, known.average + weight * off,
    'variance:' .. model, (1 - weight) * (known.variance + weight * off * off))
end

local function sumOf(key, fields)
  local sum = 0
  for _, value in ipairs(redis.call('HMGET', key, unpack(fields))) do sum = sum + (value or 0) end
  return sum
end

-- What a tenant has spent in the day of a usage hash, calls without a result included.
local function spentToday(usage)
  local sum, all = 0, redis.call('HGETALL', usage)
  for i = 1, #all, 2 do
    local name = string.match(all[i], '^(%a+):')
    if name == 'spentNanoUsd' or name == 'wastedNanoUsd' then sum = sum + all[i + 1] end
  end
  return sum
end

-- The limits that hold for a call: for each its name, what it allows, what has been spent, and the account in which the
-- calls in flight are reserved.
local function openLimits(keys, terms)
  local limits = {}
  local tenant = openAccount(keys[1], keys[2])
  local function add(name, most, spent, account)
    limits[#limits + 1] = { name = name, most = tonumber(most), spent = spent, account = account }
  end
  local batch
  if #keys > 3 then
    batch = openAccount(keys[5], keys[6])
    local record = redis.call('HMGET', keys[4], 'maxCostNanoUsd', 'spentNanoUsd', 'wastedNanoUsd')
    if record[1] then
      add('max_cost', record[1], (record[2] or 0) + (record[3] or 0) + sumOf(keys[5], { 'assumed' }), batch)
    end
  end
  if terms.perDay ~= '' or terms.perMonth ~= '' then
    local today = spentToday(keys[3])
    if terms.perDay ~= '' then
      add('usdPerDay', terms.perDay, today + sumOf(keys[1], { 'assumed:' .. terms.day }), tenant)
    end
    if terms.perMonth ~= '' then
      local month = string.sub(terms.day, 1, 7)
      add('usdPerMonth', terms.perMonth, terms.spentBefore + today + sumOf(keys[1], { 'assumed:' .. month }), tenant)
    end
  end
  return limits, tenant, batch
end
