import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { isDeployment, laneOf, metaKeyOf } from './lane-limits.ts';

const endCall = defineScript<
  [
    ledger: string,
    limits: string,
    state: string,
    meta: string,
    active: string,
    waiting: string,
    refusals: string,
    errors: string,
    ...ofDeployment: string[],
  ],
  [
    signal: CallSignal | LookSignal,
    grantedAtMs: number,
    estimatedTokens: number,
    usedTokens: number,
    retryAfterMs: number,
    reason: string,
    count: number,
    countedAtMs: number,
    retryBudget: number,
    source: string,
    succeededAtMs: number,
    requestsPerCall: number,
  ],
  [heldUntilMs: number, began: 0 | 1, atMs: number, workedAtMs: number, isLookDue: 0 | 1]
>(
  new URL('./end-call.lua', import.meta.url),
  ...['window', 'deployment-calls', 'lane-state', 'hold', 'refusals'].map(
    (part) => new URL(`./${part}.lua`, import.meta.url),
  ),
);

/**
 * What the end of a call tells its lane. `none`: nothing about the provider. `unsent`: the provider has not seen the
 * call.
 */
export type CallSignal =
  | 'ok'
  | 'throttled'
  | 'overloaded'
  | 'down'
  | 'stopped'
  | 'refused'
  | 'accountRefused'
  | 'none'
  | 'unsent';

type LookSignal = 'lookRefused' | 'lookAccepted' | 'lookUnclear';

/**
 * What a neutral look says of a lane's key. `accepted`: only a good key gets the answer. `unclear`: everybody does, or
 * there was none.
 */
export interface LookEnd {
  readonly verdict: 'accepted' | 'refused' | 'unclear';
  /** When it began, by Redis's clock, in milliseconds. */
  readonly atMs: number;
  /** For everybody to read. */
  readonly reason: string;
}

export interface CallEnd {
  readonly signal: CallSignal;
  readonly grantedAtMs: number;
  /** The time from which it counts, by Redis's clock, in milliseconds. Default: when it was admitted. */
  readonly countedAtMs?: number | undefined;
  readonly estimatedTokens: number;
  /** Undefined when the answer does not say. */
  readonly usedTokens?: number | undefined;
  /** How long the provider asks for no call, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** Why the lane is held, for everybody to read: no text of the provider's answer. */
  readonly reason?: string;
  /** The source of a call that failed. */
  readonly source?: string;
  /** When the last of these calls that got a 2xx was admitted, by Redis's clock, in milliseconds. */
  readonly succeededAtMs?: number | undefined;
  /** How many calls ended like this. Default 1. */
  readonly count?: number;
  /** How many requests each of them was for. Default 1. */
  readonly requestsPerCall?: number;
}

/** A lane's answer to the end of a call. */
export interface LaneHold {
  /** By Redis's clock; 0 when the lane is not held. */
  readonly heldUntilMs: number;
  /** Whether this call began the hold, rather than one before it. */
  readonly began: boolean;
  /** Now, by Redis's clock, in milliseconds. */
  readonly atMs: number;
  /** After a refusal: when the lane is last known to have worked for others, by Redis's clock, in milliseconds. */
  readonly workedAtMs: number;
  /** After a refusal: whether to make a neutral look. At most one is due in 5 s, all workers together. */
  readonly isLookDue: boolean;
}

/** Retries a lane may make before it has had an answer, and the most that it may save up. */
export const retryBudget = 100;

const lookSignals = { accepted: 'lookAccepted', refused: 'lookRefused', unclear: 'lookUnclear' } as const;

/** Tells a lane, or one of its deployments, what its calls show of its provider. */
export const createTellLane = (redis: RedisConnection, keys: Keys, name: string) => {
  const lane = laneOf(name);
  const shared = [keys.deploymentCalls(name), keys.laneLedger(lane), keys.laneLimits(lane), keys.laneState(lane)];
  const scriptKeys: Parameters<typeof endCall>[1] = [
    keys.laneLedger(name),
    keys.laneLimits(name),
    keys.laneState(name),
    metaKeyOf(keys, name),
    keys.laneJobs(lane, 'active'),
    keys.laneJobs(lane, 'prioritized'),
    keys.laneRefusals(name),
    keys.laneErrors(name),
    ...(isDeployment(name) ? shared : []),
  ];

  const end = async (signal: CallSignal | LookSignal, call: Omit<CallEnd, 'signal'>): Promise<LaneHold> => {
    const { grantedAtMs, countedAtMs = grantedAtMs, estimatedTokens, usedTokens = -1, retryAfterMs = -1 } = call;
    const { reason = '', count = 1, source = '', succeededAtMs = -1, requestsPerCall = 1 } = call;
    const [heldUntilMs, began, atMs, workedAtMs, isLookDue] = await endCall(redis, scriptKeys, [
      signal,
      grantedAtMs,
      estimatedTokens,
      usedTokens,
      Math.ceil(retryAfterMs),
      reason,
      count,
      countedAtMs,
      retryBudget,
      source,
      succeededAtMs,
      requestsPerCall,
    ]);
    return { heldUntilMs, began: began === 1, atMs, workedAtMs, isLookDue: isLookDue === 1 };
  };

  return {
    /** Tells the lane how a call ended. */
    async reportEnd({ signal, ...call }: CallEnd): Promise<LaneHold> {
      return end(signal, call);
    },

    /** Tells the lane what a neutral look at its provider found. */
    async reportLook({ verdict, atMs, reason }: LookEnd): Promise<LaneHold> {
      const call = { grantedAtMs: atMs, estimatedTokens: 0, reason };
      return end(lookSignals[verdict], call);
    },
  };
};
