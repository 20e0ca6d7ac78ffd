#!lua flags=allow-oom
-- Counts what live calls of one tenant have used.
-- KEYS: 1 usage of the tenant today
-- ARGV: for each model its name and the number of its sums, then for each of these its name and how much it grows
local at = 1
while at < #ARGV do
  local model, sums = ARGV[at], {}
  for i = 1, ARGV[at + 1] do sums[ARGV[at + 2 * i]] = tonumber(ARGV[at + 2 * i + 1]) end
  countUsage(KEYS[1], model, sums)
  at = at + 2 + 2 * ARGV[at + 1]
end
