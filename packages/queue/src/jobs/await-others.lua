#!lua flags=allow-oom
-- Called by a worker that has Redis again after a while. Locks that have run out while the jobs are still in work say that
-- nobody could look after them: it was not this worker alone that was cut off. Stalled checks then wait for those who are
-- back later; from the first on, so that one which comes and goes does not hold them off for ever.
-- KEYS: 1 BullMQ's list of active jobs, 2 its key that keeps stalled checks apart
-- ARGV: 1 what a job's key starts with, 2 how long stalled checks wait in ms
local awaiting = 'awaiting others'
if redis.call('GET', KEYS[2]) == awaiting then return end
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if redis.call('EXISTS', ARGV[1] .. id .. ':lock') == 0 then
    redis.call('SET', KEYS[2], awaiting, 'PX', ARGV[2])
    return
  end
end
