#!lua flags=allow-oom
-- Keeps what is reserved for calls of one source (cost-account.lua).
-- KEYS: 1 account of the tenant and 2 its calls; for a batch also 3 its account and 4 its calls
-- ARGV: 1 ms for which a call is reserved, then each call with its amount, as it is in the sets
for a = 1, #KEYS, 2 do
  local account = { hash = KEYS[a], set = KEYS[a + 1] }
  for i = 2, #ARGV do keepMember(account, ARGV[i], ARGV[1]) end
end
