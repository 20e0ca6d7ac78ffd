#!lua flags=allow-oom
-- Renews the locks of jobs in work. Unlike BullMQ's own script, it also takes back a lock that ran out while Redis
-- could not be reached, unless another worker has the job by now: the call is still under way.
-- KEYS: 1 BullMQ's list of active jobs, 2 its set of jobs that a stalled check has marked
-- ARGV: 1 prefix of a job's key, 2 how long a lock lasts in ms, then job id and token pairs
-- Returns the positions, from 0, of the pairs whose lock was lost
local lost = {}
for i = 3, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local lock = ARGV[1] .. id .. ':lock'
  local holder = redis.call('GET', lock)
  if holder == token or (not holder and redis.call('LPOS', KEYS[1], id)) then
    redis.call('SET', lock, token, 'PX', ARGV[2])
    redis.call('SREM', KEYS[2], id)
  else
    table.insert(lost, (i - 3) / 2)
  end
end
return lost
