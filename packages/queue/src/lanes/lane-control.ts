import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { isDeployment, laneOf, type LaneTerms, setLaneLimits } from './lane-limits.ts';
import { type CallEnd, createTellLane, retryBudget } from './tell-lane.ts';

const windowLua = new URL('./window.lua', import.meta.url);
const laneStateLua = new URL('./lane-state.lua', import.meta.url);
const callsLua = new URL('./deployment-calls.lua', import.meta.url);
const admitCalls = defineScript<
  [ledger: string, limits: string, state: string, prioritized: string, ...ofDeployment: string[]],
  [
    probeMs: number,
    source: string,
    deployment: string,
    process: string,
    ownCalls: number | '',
    ...estimatedTokens: number[],
  ],
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
    inFlight: number,
    most: number,
    sendWithinMs?: number,
  ]
>(new URL('./admit-calls.lua', import.meta.url), windowLua, callsLua, laneStateLua);
const tellCalls = defineScript<[calls: string], [process: string, inFlight: number], 1>(
  new URL('./tell-calls.lua', import.meta.url),
  windowLua,
  callsLua,
);
const countLateCall = defineScript<
  [ledger: string, ...shared: string[]],
  [grantedAtMs: number, estimatedTokens: number],
  number
>(new URL('./count-late-call.lua', import.meta.url), windowLua);
const takeRetry = defineScript<[state: string], [retryBudget: number], number>(
  new URL('./take-retry.lua', import.meta.url),
);

/** A lane's answer to the question which calls may go. */
export interface LaneAnswer {
  /** How many calls are admitted: the first of those asked for. */
  readonly granted: number;
  /** Milliseconds after which to ask for the others again. */
  readonly waitMs: number;
  /**
   * `source`: ask again with the source of the first call. `look`: make a neutral look, report it, and ask again. `calls`:
   * of a deployment too many are in flight.
   */
  readonly waitFor: '' | 'hold' | 'probe' | 'source' | 'look' | 'requests' | 'tokens' | 'limits' | 'calls';
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
  /** How many calls the deployment may have in flight beyond those that it has. 0 for a lane: BullMQ counts its calls. */
  readonly room: number;
}

/** Whose calls in flight a deployment counts. */
export interface DeploymentProcess {
  /** A name that no other process has. */
  readonly name: string;
  /** What the deployments of the lane share. */
  readonly lane: Pick<LaneControl, 'restoreLimits'>;
}

/**
 * The limits and state of a lane, or of one of its deployments (`lane@deployment`), shared by all workers through Redis
 * and by its clock.
 *
 * @param process must be there for a deployment
 */
export const createLaneControl = (redis: RedisConnection, keys: Keys, name: string, process?: DeploymentProcess) => {
  const lane = laneOf(name);
  const stateKey = keys.laneState(name);
  const callsKey = keys.deploymentCalls(name);
  const ledgers: Parameters<typeof countLateCall>[1] = isDeployment(name)
    ? [keys.laneLedger(name), keys.laneLedger(lane)]
    : [keys.laneLedger(name)];
  const admitKeys: Parameters<typeof admitCalls>[1] = [
    keys.laneLedger(name),
    keys.laneLimits(name),
    stateKey,
    keys.laneJobs(lane, 'prioritized'),
    ...(isDeployment(name)
      ? [
          callsKey,
          keys.deploymentMeta(name),
          keys.laneLedger(lane),
          keys.laneLimits(lane),
          keys.laneState(lane),
          keys.laneWidths(lane),
          keys.laneJobs(lane, 'meta'),
          keys.laneJobs(lane, 'marker'),
        ]
      : []),
  ];
  let terms: LaneTerms | undefined;
  /** The calls of a deployment that this process has in flight, and whether Redis knows that number. */
  let ownCalls = 0;
  let isTold = true;
  let isAsking = false;

  /** Whether the lane limited tokens when it was last asked. */
  let limitsTokens = false;

  const setLimits = async (terms: LaneTerms): Promise<void> => {
    limitsTokens = await setLaneLimits(redis, keys, name, terms);
  };

  const ask = async (estimatedTokens: readonly number[], probeMs: number, source: string): Promise<LaneAnswer> => {
    const ofDeployment = process ? ([name, process.name, ownCalls] as const) : (['', '', ''] as const);
    isAsking = true;
    isTold = true;
    const answer = await admitCalls(redis, admitKeys, [probeMs, source, ...ofDeployment, ...estimatedTokens]).finally(
      () => (isAsking = false),
    );
    const [granted, waitMs, waitFor, atMs, probe, closed, free, failedSources, othersWait, tokens, ...rest] = answer;
    const [inFlight, most, sendWithinMs] = rest;
    limitsTokens = tokens === 1;
    ownCalls += granted;
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
      room: most - inFlight,
    };
  };

  return {
    ...createTellLane(redis, keys, name),

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
      await Promise.all([setLimits(terms), process?.lane.restoreLimits()]);
      return ask(estimatedTokens, probeMs, source);
    },

    /** Says that an admitted call of a deployment has ended. */
    endCall(): void {
      ownCalls--;
      isTold = false;
    },

    /** Tells Redis how many calls of a deployment this process has in flight. A question tells it too. */
    async tellCalls(): Promise<void> {
      // The answer to a question that is under way may add calls.
      if (!process || isAsking || (isTold && ownCalls === 0)) return;
      isTold = true;
      await tellCalls(redis, [callsKey], [process.name, ownCalls]);
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
      return countLateCall(redis, ledgers, [grantedAtMs, estimatedTokens]);
    },
  };
};

export type LaneControl = ReturnType<typeof createLaneControl>;
