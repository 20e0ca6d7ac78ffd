#!lua flags=allow-oom
-- Tells a worker for which requests of one batch it may call the provider.
-- KEYS: 1 batch record, 2 bit per settled request
-- ARGV: for each request its index and the bytes of its input line
-- Returns for each request 'run', 'capped' (it may run within the limit of its batch's cost), 'held' (a limit of cost holds
--         its batch; the record then notes that requests are parked), 'settled' (it has its result already), 'paused' (its batch is paused; the record then
--         notes that requests are parked) or 'dropped' (its batch wants no more calls; the request is counted as
--         dropped)
local record = redis.call('HMGET', KEYS[1], 'status', 'stopping', 'sealed', 'paused', 'costHeld', 'maxCostNanoUsd')
local answers = {}
if not record[1] then
  for i = 1, #ARGV, 2 do answers[#answers + 1] = 'dropped' end
  return answers
end
local unsettled = 'dropped'
-- A batch is validated again when Redis has lost its latest state. Meanwhile its requests wait as in a paused batch.
if (record[1] == 'in_progress' or record[1] == 'validating') and not record[2] then
  if record[1] ~= 'in_progress' or record[4] then unsettled = 'paused'
  elseif record[5] then unsettled = 'held'
  else unsettled = record[6] and 'capped' or 'run' end
end
local dropped, droppedBytes, paused = 0, 0, false
for i = 1, #ARGV, 2 do
  local answer = unsettled
  if redis.call('GETBIT', KEYS[2], ARGV[i]) == 1 then
    answer = 'settled'
  elseif answer == 'paused' or answer == 'held' then
    paused = true
  elseif answer == 'dropped' and not record[3] then
    redis.call('SETBIT', KEYS[2], ARGV[i], 1)
    dropped = dropped + 1
    droppedBytes = droppedBytes + ARGV[i + 1]
  end
  answers[#answers + 1] = answer
end
if paused then redis.call('HSET', KEYS[1], 'parked', 1) end
if dropped > 0 then
  redis.call('HINCRBY', KEYS[1], 'dropped', dropped)
  redis.call('HINCRBY', KEYS[1], 'settledBytes', droppedBytes)
end
return answers
