import { type Lane, lacksKey } from '@promptmill/core';
import { type LaneState, readLaneErrors, readLaneLimits, readLaneState, readTokensThisMinute } from '@promptmill/queue';
import type { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import { type lane as laneSchema, toShownLimits } from './lane-schemas.ts';

/** How many of the requests that wait in a lane are live calls. @param calls whose callers wait */
export const liveWaiting = ({ waiting, liveInFlight }: LaneState, calls = 0): number =>
  Math.min(waiting, Math.max(0, calls - liveInFlight));

const toSeconds = (ms: number): number => Math.ceil(ms / 1000);

/**
 * Shows what a lane is doing now. All tenants see it, so it says nothing of any tenant: counts of all of them together,
 * and of errors a code and a time.
 */
export const createShowLane =
  ({ redis, keys, now }: Pick<ApiDependencies, 'redis' | 'keys' | 'now'>) =>
  async ({ name, provider, limits }: Lane, liveCalls: number | undefined): Promise<z.output<typeof laneSchema>> => {
    const [state, known, errors] = await Promise.all([
      readLaneState(redis, keys, name, now()),
      readLaneLimits(redis, keys, name),
      readLaneErrors(redis, keys, name),
    ]);
    // Only workers know their configuration and their keys; before the first of them, this process's own counts.
    const { configured = limits, changed, hasKey = !lacksKey(provider) } = known;
    const inForce = { ...configured, ...changed };
    const limitsTokens = inForce.tokensPerMinute !== undefined;
    return {
      id: name,
      object: 'lane',
      provider: provider.name,
      has_key: hasKey,
      in_flight: state.inFlight,
      allowed: state.allowed ?? null,
      waiting: state.waiting,
      live_in_flight: state.liveInFlight,
      live_waiting: liveWaiting(state, liveCalls),
      held_until: state.heldUntilMs === undefined ? null : toSeconds(state.heldUntilMs),
      reason: state.reason ?? null,
      tokens_this_minute: limitsTokens ? await readTokensThisMinute(redis, keys, name, now()) : null,
      limits: toShownLimits(inForce),
      configured_limits: toShownLimits(configured),
      last_errors: errors.map(({ reason, atMs }) => ({ reason, at: Math.floor(atMs / 1000) })),
    };
  };
