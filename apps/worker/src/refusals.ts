import type { RequestJob, RequestRefusals } from '@promptmill/core';
import { type CallResult, laneSignalOf } from '@promptmill/provider';
import type { LaneHold } from '@promptmill/queue';

/** A request that is refused so often while its lane works for others is itself the cause. */
const ownFaultAfter = 3;
const firstDelayMs = 1000;
/** While a key is good again, its requests should not wait much longer than the lane. */
const longestDelayMs = 60_000;

/**
 * Counts a refusal. One counts as the request's own fault when the lane has worked since the one before it: otherwise
 * the key may have been bad all the time, and no request fails because of a bad key.
 */
export const countRefusal = (
  before: RequestRefusals | undefined,
  { atMs, workedAtMs }: Pick<LaneHold, 'atMs' | 'workedAtMs'>,
): RequestRefusals => ({
  calls: (before?.calls ?? 0) + 1,
  own: !before ? 1 : before.own + (workedAtMs > before.lastAtMs ? 1 : 0),
  lastAtMs: atMs,
});

export const isOwnFault = ({ own }: RequestRefusals): boolean => own >= ownFaultAfter;

/** How long a refused request stays away from its lane, so that others have its place, in milliseconds. */
export const refusalDelayMs = ({ calls }: RequestRefusals, probeIntervalMs: number): number =>
  Math.min(probeIntervalMs, longestDelayMs, firstDelayMs * 2 ** Math.min(calls - 1, 10));

/** The request's refusals with this one. Undefined when the call was not refused, or the account has no money. */
export const refusalsOf = (
  { refusals }: RequestJob,
  result: CallResult,
  hold: LaneHold | undefined,
): RequestRefusals | undefined => {
  if (!hold || result.kind !== 'failure' || result.class !== 'provider') return undefined;
  return laneSignalOf(result.code) === 'stopped' ? undefined : countRefusal(refusals, hold);
};
