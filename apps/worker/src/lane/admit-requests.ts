import { type RequestJob, sourceOf } from '@promptmill/core';
import type { JobLock } from '@promptmill/queue';
import { type Ending, endingOfState, mayCall } from '../decide.ts';
import type { RequestRecorder } from '../request-recorder.ts';
import type { UntilRedisTakes } from '../until-redis-takes.ts';
import type { Admission } from './admission.ts';
import type { LaneGate, WantedCall } from './lane-gate.ts';

/** A request that waits for its lane. */
interface Waiting {
  readonly request: RequestJob;
  readonly run: {
    readonly lock: JobLock;
    readonly fallback: WantedCall['fallback'];
    readonly signal: AbortSignal;
    readonly avoid: ReadonlySet<string>;
  };
  readonly estimatedTokens: number;
  /** When its batch was last known to want it, in milliseconds of `performance.now()`. */
  readonly sinceMs: number;
}

/** The requests that an admitted call is for, and how the jobs of all others end without one. */
interface Admitted<Request> {
  /** Undefined when no call goes. */
  readonly admission: Admission | undefined;
  readonly requests: readonly Request[];
  readonly endings: ReadonlyMap<Request, Ending>;
}

export interface AdmitRequestsOptions {
  readonly gate: Pick<LaneGate, 'admit'>;
  readonly recorder: Pick<RequestRecorder, 'check'>;
  readonly untilRedisTakes: UntilRedisTakes;
}

/** A request that waited longer than this for its lane is checked again: its batch may be stopped or paused. */
const askAgainAfterMs = 1000;
/** A request that gives its place to other batches comes back after this time. */
const giveWayMs = 2000;

export const createAdmitRequests = ({ gate, recorder, untilRedisTakes }: AdmitRequestsOptions) => {
  /** Waits until the lane admits one call for these requests, which are of one batch, or one live call. */
  return async <Request extends Waiting>(wanted: readonly [Request, ...Request[]]): Promise<Admitted<Request>> => {
    const [{ request: first, run, sinceMs }] = wanted;
    const call: WantedCall = {
      batchId: first.batchId,
      source: sourceOf(first),
      isLive: first.live !== undefined,
      estimatedTokens: wanted.reduce((sum, { estimatedTokens }) => sum + estimatedTokens, 0),
      fallback: run.fallback,
      avoid: new Set(wanted.flatMap((each) => [...each.run.avoid])),
    };
    const endings = new Map<Request, Ending>();
    const endAll = (ending: Ending): Admitted<Request> => {
      for (const each of wanted) if (!endings.has(each)) endings.set(each, ending);
      return { admission: undefined, requests: [], endings };
    };
    const checkAgain = async (each: Request): Promise<void> => {
      const state = await untilRedisTakes(() => recorder.check(each.request));
      // What the call is expected to cost is reserved, whatever the batch waits for by now.
      if (!mayCall(state) && state !== 'held') endings.set(each, endingOfState(state));
    };
    const left = (): Request[] => wanted.filter((each) => !endings.has(each));
    let askedAtMs = sinceMs;
    for (;;) {
      const admission = await gate.admit(call, run.signal);
      if (!admission) return endAll({ kind: 'put back', delayMs: 0 });
      if (admission === 'fallback') return endAll({ kind: 'fall back' });
      if (admission === 'later') return endAll({ kind: 'put back', delayMs: giveWayMs, givesWay: true });
      if (admission === 'unwanted' || performance.now() - askedAtMs > askAgainAfterMs) {
        askedAtMs = performance.now();
        await Promise.all(left().map(checkAgain));
        if (admission === 'unwanted' && left().length > 0) continue;
      }
      for (const each of left()) if (!each.run.lock.isHeld) endings.set(each, { kind: 'skip', status: 'moved' });
      const requests = left();
      if (admission !== 'unwanted' && requests.length > 0) return { admission, requests, endings };
      if (admission !== 'unwanted') await untilRedisTakes(() => admission.reportEnd({ signal: 'unsent' }));
      return { admission: undefined, requests, endings };
    }
  };
};
