-- What each field of a lane's state, KEYS[3], means. Times are in ms of Redis's clock.
--
-- Its hold. All but `heldAt` and `lookedAt` are absent while it is open, and `failedSources` may be.
--   heldFor        'throttled' (429, or the provider says when to come again), 'stopped' (it takes no call until someone
--                  acts), 'failing' (a row of failures) or 'refused' (refusals.lua)
--   heldUntil      until then no call goes; after that one call, the probe, finds out whether the provider is back
--   heldAt         when this hold began, or the last one. A call that was admitted later is a probe
--   heldSince      when the first hold since the lane was open began
--   holds          the holds since the lane was open
--   reason         why it is held, for people
--   closedFrom     from then on requests with a fallback go to it rather than wait
--   probedAt       when the latest probe that has no answer went
--   probeSource    its source
--   failedSources  sources whose calls failed, the latest last, joined by commas. In an open lane: those that were refused
--   looksLeft      as many neutral looks, each after a hold, come before the next call that is a probe
--   lookedAt       when a neutral look was last asked for
-- Its pace.
--   nextRequestAt, nextTokenAt   before then no call goes, so that calls are spread evenly
--   tokensOwed                   what ended calls used beyond their estimates; negative when they used fewer
--   rampUntil, rampMs            until then calls go this far apart, since the lane has just opened
-- Its width, where the configuration sets no concurrency.
--   width          calls that may be in flight
--   narrowedAt     when an answer last narrowed it
-- Others.
--   failures               failed calls without a success since
--   retries, nextRetryAt   the budget of retries (take-retry.lua)
--
-- A source is '<tenant>/<batch>', or '<tenant>/live' for all live calls of a tenant (request-job.ts).

-- A lane remembers this many sources.
local mostFailedSources = 32

-- These holds let nobody in before they end. The others let in probes of sources that have not failed: what failed may be
-- the fault of one source's requests.
local isFirm = { throttled = true, stopped = true }

local function hasSource(list, source)
  return string.find(',' .. list .. ',', ',' .. source .. ',', 1, true) ~= nil
end

-- Whether the list has a source of the same tenant.
local function hasTenantOf(list, source)
  return string.find(',' .. list, ',' .. string.match(source, '^.-/'), 1, true) ~= nil
end

local function withSource(list, source)
  local sources = {}
  for known in string.gmatch(list, '[^,]+') do
    if known ~= source then sources[#sources + 1] = known end
  end
  sources[#sources + 1] = source
  if #sources > mostFailedSources then table.remove(sources, 1) end
  return table.concat(sources, ',')
end

-- Returns how many sources are in a list, and how many tenants.
local function countSources(list)
  local sources, tenants, seen = 0, 0, {}
  for tenant in string.gmatch(list, '([^,/]+)/[^,]+') do
    sources = sources + 1
    if not seen[tenant] then tenants, seen[tenant] = tenants + 1, true end
  end
  return sources, tenants
end
