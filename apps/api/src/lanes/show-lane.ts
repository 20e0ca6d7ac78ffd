import { type Deployment, upstreamsOf, type Lane, type LaneLimits, lacksKey, missingKeyOf } from '@promptmill/core';
import {
  type LaneState,
  readDeploymentCalls,
  readUpstreamHold,
  readLaneErrors,
  readLaneLimits,
  readLaneState,
  readTokensThisMinute,
} from '@promptmill/queue';
import type { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import { type lane as laneSchema, toShownLimits } from './lane-schemas.ts';

type ShownLane = z.output<typeof laneSchema>;

/** How many of the requests that wait in a lane are live calls. @param calls whose callers wait */
export const liveWaiting = ({ waiting, liveInFlight }: LaneState, calls = 0): number =>
  Math.min(waiting, Math.max(0, calls - liveInFlight));

const toSeconds = (ms: number): number => Math.ceil(ms / 1000);

/** What of a lane or a deployment only Redis and this process's configuration tell. */
interface Upstream {
  readonly name: string;
  readonly limits: LaneLimits;
  readonly hasKey: boolean;
}

/**
 * Shows what a lane is doing now. All tenants see it, so it says nothing of any tenant: counts of all of them together,
 * and of errors a code and a time.
 */
export const createShowLane = ({ redis, keys, now }: Pick<ApiDependencies, 'redis' | 'keys' | 'now'>) => {
  const showUpstream = async (
    { name, limits, hasKey: hasKeyHere }: Upstream,
    { heldUntilMs, reason }: Pick<LaneState, 'heldUntilMs' | 'reason'>,
  ) => {
    const [known, errors] = await Promise.all([readLaneLimits(redis, keys, name), readLaneErrors(redis, keys, name)]);
    // Only workers know their configuration and their keys; before the first of them, this process's own counts.
    const { configured = limits, changed, hasKey = hasKeyHere } = known;
    const inForce = { ...configured, ...changed };
    const limitsTokens = inForce.tokensPerMinute !== undefined;
    return {
      id: name,
      has_key: hasKey,
      held_until: heldUntilMs === undefined ? null : toSeconds(heldUntilMs),
      reason: reason ?? null,
      tokens_this_minute: limitsTokens ? await readTokensThisMinute(redis, keys, name, now()) : null,
      limits: toShownLimits(inForce),
      configured_limits: toShownLimits(configured),
      last_errors: errors.map(({ reason: why, atMs }) => ({ reason: why, at: Math.floor(atMs / 1000) })),
    };
  };

  const showDeployment = async ({ name, limits, provider }: Deployment): Promise<ShownLane['deployments'][number]> => {
    const [hold, { inFlight, allowed = null }] = await Promise.all([
      readUpstreamHold(redis, keys, name, now()),
      readDeploymentCalls(redis, keys, name, now()),
    ]);
    const shown = await showUpstream({ name, limits, hasKey: !lacksKey(provider) }, hold);
    return { ...shown, in_flight: inFlight, allowed };
  };

  return async (lane: Lane, liveCalls: number | undefined): Promise<ShownLane> => {
    const { name, provider, limits } = lane;
    const [state, deployments] = await Promise.all([
      readLaneState(redis, keys, name, upstreamsOf({ lanes: [lane] }, name), now()),
      Promise.all(lane.deployments.map(showDeployment)),
    ]);
    const shown = await showUpstream({ name, limits, hasKey: missingKeyOf(lane) === undefined }, state);
    return {
      ...shown,
      object: 'lane',
      provider: provider.name,
      in_flight: state.inFlight,
      allowed: state.allowed ?? null,
      waiting: state.waiting,
      live_in_flight: state.liveInFlight,
      live_waiting: liveWaiting(state, liveCalls),
      deployments,
    };
  };
};
