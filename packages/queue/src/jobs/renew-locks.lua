#!lua flags=allow-oom
-- Renews the locks of jobs in work. Unlike BullMQ's own script it also takes back a lock that has run out while Redis, or
-- the way to it, was gone, unless another worker has the job by now: the call is still under way.
-- KEYS: 1 BullMQ's list of active jobs, 2 its set of those that were not renewed since the last stalled check
-- ARGV: 1 what a job's key starts with, 2 how long a lock lasts in ms, then job id and token pairs
-- Returns the positions of the pairs whose lock is another's, from 0
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
