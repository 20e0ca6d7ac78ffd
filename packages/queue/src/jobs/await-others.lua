#!lua flags=allow-oom
-- A worker calls this when Redis is back after an outage. Jobs in work whose locks have run out show that no worker
-- could renew or take them, so other workers were cut off too. Stalled checks then wait for the workers that come back
-- later. The wait starts with the first call: a worker that comes and goes does not put the checks off for ever.
-- KEYS: 1 BullMQ's list of active jobs, 2 its key that spaces stalled checks
-- ARGV: 1 prefix of a job's key, 2 how long stalled checks wait in ms
local awaiting = 'awaiting others'
if redis.call('GET', KEYS[2]) == awaiting then return end
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if redis.call('EXISTS', ARGV[1] .. id .. ':lock') == 0 then
    redis.call('SET', KEYS[2], awaiting, 'PX', ARGV[2])
    return
  end
end
