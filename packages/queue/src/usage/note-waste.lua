#!lua flags=allow-oom
-- Counts a call that gave no result although its provider says what it used.
-- KEYS: 1 batch record, 2 usage of the batch's tenant today
-- ARGV: 1 model, 2 its cost in billionths of a dollar, or '-' when that is unknown
local name = ARGV[2] == '-' and 'unpricedWaste' or 'wastedNanoUsd'
local cost = ARGV[2] == '-' and 1 or tonumber(ARGV[2])
-- A batch that is over changes no more.
if redis.call('HGET', KEYS[1], 'status') == 'in_progress' then redis.call('HINCRBY', KEYS[1], name, cost) end
countUsage(KEYS[2], ARGV[1], { [name] = cost })
