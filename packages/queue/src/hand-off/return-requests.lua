#!lua flags=allow-oom
-- Notes that requests of an ended shard, which have no result from it, have jobs in their lanes, and that the shard is looked
-- at from another place on. Nothing happens when another process has noted it.
-- KEYS: 1 batch record, 2 bit per handed-off request, 3 shards
-- ARGV: 1 number of the shard, 2 its state when it was read, 3 the new one, 4 what that adds to the returning shards, 5 the
--       batch's position in each lane as JSON, then for each request its index and the bytes of its line
-- Returns 'moved'; 'halted' when moved, but the batch is paused, stopped or held by a limit of its cost; 'overtaken' when
--         another process moved it
local field = ARGV[1] .. ':state'
if (redis.call('HGET', KEYS[3], field) or '') ~= ARGV[2] then return 'overtaken' end
redis.call('HSET', KEYS[3], field, ARGV[3])
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'paused', 'costHeld', 'dispatched', 'waitingHandedOff',
  'skippedBytes', 'returningShards')
local dispatched, waiting, skipped = tonumber(record[5] or 0), tonumber(record[6] or 0), tonumber(record[7] or 0)
for i = 6, #ARGV, 2 do
  local index = tonumber(ARGV[i])
  if redis.call('SETBIT', KEYS[2], index, 0) == 1 and index < dispatched then
    skipped = math.max(0, skipped - ARGV[i + 1])
    waiting = math.max(0, waiting - 1)
  end
end
redis.call('HSET', KEYS[1], 'waitingHandedOff', waiting, 'skippedBytes', skipped, 'positions', ARGV[5],
  'returningShards', math.max(0, (record[8] or 0) + ARGV[4]))
return record[1] == 'in_progress' and not record[2] and not record[3] and not record[4] and 'moved' or 'halted'
