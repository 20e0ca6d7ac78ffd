import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { type LaneTerms, setLaneLimits } from './lane-limits.ts';
import { type CallEnd, createTellLane, retryBudget } from './tell-lane.ts';

const windowLua = new URL('./window.lua', import.meta.url);
const laneStateLua = new URL('./lane-state.lua', import.meta.url);
const admitCalls = defineScript<
  [ledger: string, limits: string, state: string, prioritized: string],
  [probeMs: number, source: string, ...estimatedTokens: number[]],
  [
    granted: number,
    waitMs: number,
    waitFor: LaneAnswer['waitFor'],
    atMs: number,
    isProbe: 0 | 1,
    closedForMs: number,
    isFree: 0 | 1,
    failedSources: string,
    othersWait: 0 | 1,
    limitsTokens: 0 | 1,
    sendWithinMs?: number,
  ]
>(new URL('./admit-calls.lua', import.meta.url), windowLua, laneStateLua);
const countLateCall = defineScript<[ledger: string], [grantedAtMs: number, estimatedTokens: number], number>(
  new URL('./count-late-call.lua', import.meta.url),
  windowLua,
);
const takeRetry = defineScript<[state: string], [retryBudget: number], number>(
  new URL('./take-retry.lua', import.meta.url),
);

/** A lane's answer to the question which calls may go. */
export interface LaneAnswer {
  /** How many calls are admitted: the first of those asked for. */
  readonly granted: number;
  /** Milliseconds after which to ask for the others again. */
  readonly waitMs: number;
  /** `source`: ask again with the source of the first call. `look`: make a neutral look, report it, and ask again. */
  readonly waitFor: '' | 'hold' | 'probe' | 'source' | 'look' | 'requests' | 'tokens' | 'limits';
  /** When they were admitted, by Redis's clock, in milliseconds. */
  readonly atMs: number;
  /** After a hold: this call finds out whether the provider is back. */
  readonly isProbe: boolean;
  /**
   * For how long the lane has been closed, in milliseconds; 0 while it is not. No call succeeds until someone acts, or none
   * has succeeded for a minute. Requests with a fallback go to it.
   */
  readonly closedForMs: number;
  /** At this moment nothing but the number of calls in flight limits or holds the lane. */
  readonly isFree: boolean;
  /** While the lane is held: sources whose calls failed, the latest last. Their calls are not its next probe. */
  readonly failedSources: readonly string[];
  /** While the lane is held: the next jobs that wait in it are of a tenant of which no call failed. */
  readonly othersWait: boolean;
  /** Admitted calls must go out within this many milliseconds of the question. Undefined: at any time. */
  readonly sendWithinMs?: number | undefined;
}

/** One lane's limits and state, shared by all workers through Redis and by its clock. */
export const createLaneControl = (redis: RedisConnection, keys: Keys, lane: string) => {
  const limitsKey = keys.laneLimits(lane);
  const stateKey = keys.laneState(lane);
  const ledgerKey = keys.laneLedger(lane);
  const waitingKey = keys.laneJobs(lane, 'prioritized');
  let terms: LaneTerms | undefined;

  /** Whether the lane limited tokens when it was last asked. */
  let limitsTokens = false;

  const setLimits = async (terms: LaneTerms): Promise<void> => {
    limitsTokens = await setLaneLimits(redis, keys, lane, terms);
  };

  const ask = async (estimatedTokens: readonly number[], probeMs: number, source: string): Promise<LaneAnswer> => {
    const [granted, waitMs, waitFor, atMs, probe, closed, free, failedSources, othersWait, tokens, sendWithinMs] =
      await admitCalls(redis, [ledgerKey, limitsKey, stateKey, waitingKey], [probeMs, source, ...estimatedTokens]);
    limitsTokens = tokens === 1;
    return {
      granted,
      waitMs,
      waitFor,
      atMs,
      isProbe: probe === 1,
      closedForMs: closed,
      isFree: free === 1,
      failedSources: failedSources === '' ? [] : failedSources.split(','),
      othersWait: othersWait === 1,
      sendWithinMs,
    };
  };

  return {
    ...createTellLane(redis, keys, lane),

    /** Whether calls are to come with an estimate of their tokens. */
    limitsTokens: () => limitsTokens,

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
     * @param source where the lane is held, the source of the first call; all calls are of its tenant then
     */
    async admit(estimatedTokens: readonly number[], probeMs: number, source = ''): Promise<LaneAnswer> {
      const answer = await ask(estimatedTokens, probeMs, source);
      if (answer.waitFor !== 'limits' || !terms) return answer;
      await setLimits(terms);
      return ask(estimatedTokens, probeMs, source);
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
  };
};

export type LaneControl = ReturnType<typeof createLaneControl>;
