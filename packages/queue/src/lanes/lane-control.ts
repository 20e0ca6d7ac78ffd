import type { LaneLimits } from '@promptmill/core';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

const windowLua = new URL('./window.lua', import.meta.url);
const setLaneLimits = defineScript<
  [limits: string, state: string, meta: string],
  [startWidth: number, ...fieldsAndValues: (string | number)[]],
  null
>(new URL('./set-lane-limits.lua', import.meta.url));
const admitCalls = defineScript<
  [ledger: string, limits: string, state: string],
  [probeMs: number, batchId: string, ...estimatedTokens: number[]],
  [
    granted: number,
    waitMs: number,
    waitFor: LaneAnswer['waitFor'],
    atMs: number,
    isProbe: 0 | 1,
    isClosed: 0 | 1,
    isFree: 0 | 1,
    failedBatches: string,
    sendWithinMs?: number,
  ]
>(new URL('./admit-calls.lua', import.meta.url), windowLua);
const countLateCall = defineScript<[ledger: string], [grantedAtMs: number, estimatedTokens: number], number>(
  new URL('./count-late-call.lua', import.meta.url),
  windowLua,
);
const endCall = defineScript<
  [ledger: string, limits: string, state: string, meta: string, active: string, waiting: string],
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
    batchId: string,
    succeededAtMs: number,
  ],
  [heldUntilMs: number, began: 0 | 1, atMs: number, workedAtMs: number, isLookDue: 0 | 1]
>(new URL('./end-call.lua', import.meta.url), windowLua);
const takeRetry = defineScript<[state: string], [retryBudget: number], number>(
  new URL('./take-retry.lua', import.meta.url),
);

/** A lane's answer to the question which calls may go. */
export interface LaneAnswer {
  /** How many calls are admitted: the first of those asked for. */
  readonly granted: number;
  /** Milliseconds after which to ask for the others again. */
  readonly waitMs: number;
  /** `batch`: ask again with the batch of the first call. `look`: make a neutral look, report it, and ask again. */
  readonly waitFor: '' | 'hold' | 'probe' | 'batch' | 'look' | 'requests' | 'tokens' | 'limits';
  /** When they were admitted, by Redis's clock, in milliseconds. */
  readonly atMs: number;
  /** After a hold: this call finds out whether the provider is back. */
  readonly isProbe: boolean;
  /** No call succeeds until someone acts, or none has succeeded for a minute. Requests with a fallback go to it. */
  readonly isClosed: boolean;
  /** At this moment nothing but the number of calls in flight limits or holds the lane. */
  readonly isFree: boolean;
  /** While the lane is held: batches whose calls failed, the latest last. Their calls are not its next probe. */
  readonly failedBatches: readonly string[];
  /** Admitted calls must go out within this many milliseconds of the question. Undefined: at any time. */
  readonly sendWithinMs?: number | undefined;
}

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
  /** The batch of a call that failed. */
  readonly batchId?: string;
  /** When the last of these calls that got a 2xx was admitted, by Redis's clock, in milliseconds. */
  readonly succeededAtMs?: number | undefined;
  /** How many calls ended like this. Default 1. */
  readonly count?: number;
}

export interface LaneTerms {
  readonly limits: LaneLimits;
  /** Calls in flight at the start, where the limits set none. After that the provider's answers decide. */
  readonly startWidth: number;
  /** Milliseconds between probes of a provider that accepts no call until someone acts. */
  readonly probeIntervalMs: number;
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
const retryBudget = 100;

const lookSignals = { accepted: 'lookAccepted', refused: 'lookRefused', unclear: 'lookUnclear' } as const;

/** One lane's limits and state, shared by all workers through Redis and by its clock. */
export const createLaneControl = (redis: RedisConnection, keys: Keys, lane: string) => {
  const limitsKey = keys.laneLimits(lane);
  const stateKey = keys.laneState(lane);
  const ledgerKey = keys.laneLedger(lane);
  const metaKey = keys.laneJobs(lane, 'meta');
  let terms: LaneTerms | undefined;

  const setLimits = async ({ limits, startWidth, probeIntervalMs }: LaneTerms): Promise<void> => {
    const { concurrency, requests, tokensPerMinute: tokens } = limits;
    const { count, windowMs } = requests ?? {};
    const fields = { concurrency, requests: count, windowMs, tokens, probeIntervalMs };
    const pairs = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
    await setLaneLimits(redis, [limitsKey, stateKey, metaKey], [startWidth, ...pairs]);
  };

  const ask = async (estimatedTokens: readonly number[], probeMs: number, batchId: string): Promise<LaneAnswer> => {
    const [granted, waitMs, waitFor, atMs, probe, closed, free, failedBatches, sendWithinMs] = await admitCalls(
      redis,
      [ledgerKey, limitsKey, stateKey],
      [probeMs, batchId, ...estimatedTokens],
    );
    return {
      granted,
      waitMs,
      waitFor,
      atMs,
      isProbe: probe === 1,
      isClosed: closed === 1,
      isFree: free === 1,
      failedBatches: failedBatches === '' ? [] : failedBatches.split(','),
      sendWithinMs,
    };
  };

  const end = async (signal: CallSignal | LookSignal, call: Omit<CallEnd, 'signal'>): Promise<LaneHold> => {
    const { grantedAtMs, countedAtMs = grantedAtMs, estimatedTokens, usedTokens = -1, retryAfterMs = -1 } = call;
    const { reason = '', count = 1, batchId = '', succeededAtMs = -1 } = call;
    const [heldUntilMs, began, atMs, workedAtMs, isLookDue] = await endCall(
      redis,
      [ledgerKey, limitsKey, stateKey, metaKey, keys.laneJobs(lane, 'active'), keys.laneJobs(lane, 'prioritized')],
      [
        signal,
        grantedAtMs,
        estimatedTokens,
        usedTokens,
        Math.ceil(retryAfterMs),
        reason,
        count,
        countedAtMs,
        retryBudget,
        batchId,
        succeededAtMs,
      ],
    );
    return { heldUntilMs, began: began === 1, atMs, workedAtMs, isLookDue: isLookDue === 1 };
  };

  return {
    async setLimits(next: LaneTerms): Promise<void> {
      terms = next;
      await setLimits(next);
    },

    /** Sets the limits again after a lost connection: Redis may have lost them. */
    async restoreLimits(): Promise<void> {
      if (terms) await setLimits(terms);
    },

    /**
     * Asks how many of these calls may go now.
     *
     * @param probeMs after this time a probe without an answer counts as lost, and another may go
     * @param batchId the batch of the first call, where the lane is held
     */
    async admit(estimatedTokens: readonly number[], probeMs: number, batchId = ''): Promise<LaneAnswer> {
      const answer = await ask(estimatedTokens, probeMs, batchId);
      if (answer.waitFor !== 'limits' || !terms) return answer;
      await setLimits(terms);
      return ask(estimatedTokens, probeMs, batchId);
    },

    /** Takes a retry from the lane's budget. Resolves with 0, or with the milliseconds after which to ask again. */
    async takeRetry(): Promise<number> {
      return takeRetry(redis, [stateKey], [retryBudget]);
    },

    /**
     * Notes that a call goes out late. Resolves with the time from which it counts, by Redis's clock, in milliseconds.
     */
    async countLate({
      grantedAtMs,
      estimatedTokens,
    }: Pick<CallEnd, 'grantedAtMs' | 'estimatedTokens'>): Promise<number> {
      return countLateCall(redis, [ledgerKey], [grantedAtMs, estimatedTokens]);
    },

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

export type LaneControl = ReturnType<typeof createLaneControl>;
