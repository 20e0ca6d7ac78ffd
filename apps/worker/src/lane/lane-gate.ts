import type { LaneAnswer, LaneControl } from '@promptmill/queue';
import { type Admission, type MakeAdmissionOptions, createMakeAdmission } from './admission.ts';
import { createCallOrder } from './call-order.ts';
import type { Fallback } from './fallback.ts';
import { createFreePass } from './free-pass.ts';
import { createEndReporter } from './report-ends.ts';

/** A call that waits for the lane to admit it. */
export interface WantedCall {
  readonly batchId: string;
  /** Who it is for, as the lane knows it. */
  readonly source: string;
  readonly isLive: boolean;
  readonly estimatedTokens: number;
  readonly fallback?: Pick<Fallback, 'isBetter'> | undefined;
}

/**
 * `fallback`: the call's fallback is better than waiting; `unwanted`: its batch wants no call now; `later`: its place goes
 * to requests of other sources for a while, since calls of its own source failed.
 */
type Entrance = Admission | 'fallback' | 'unwanted' | 'later';

export interface LaneGate {
  /** Waits until the lane's limits allow a call, or until there is no use in waiting; undefined when the signal fires. */
  admit(call: WantedCall, signal: AbortSignal): Promise<Entrance | undefined>;
  /** Admits no more calls: a waiting or new call gets undefined, as if its signal had fired. */
  shut(): void;
  /** Reports the ends of calls that have not been reported yet. */
  close(): Promise<void>;
}

interface Waiter extends WantedCall {
  readonly sinceMs: number;
  settle(outcome: Entrance | undefined): void;
}

export interface LaneGateOptions extends Pick<MakeAdmissionOptions, 'onHold' | 'onError'> {
  readonly control: Pick<LaneControl, 'admit' | 'countLate' | 'reportEnd'>;
  /** Makes a neutral look and reports it. `atMs` is the time by Redis's clock. Throws nothing. */
  readonly look: (atMs: number) => Promise<void>;
  /** Whether a batch wants calls now. */
  readonly isRunning: (batchId: string) => Promise<boolean>;
  /** The longest one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** What live calls may take while batch requests wait too, between 0 and 1. */
  readonly liveShare: number;
}

/** How many calls one question asks for. More of them would keep Redis busy with one script for too long. */
const askAtOnce = 64;
/** A changed limit, a lifted hold or a stopped batch is noticed after this long at the latest. */
const longestWaitMs = 1000;
const heldAnswers = new Set<LaneAnswer['waitFor']>(['hold', 'probe', 'source', 'look']);
/** Another process's probe may be answered at any moment, and calls may come that are not held. */
const probeWaitMs = 250;
/** The lane waits for a probe's answer no longer than this: the process that made the probe may have died. */
const longestProbeMs = 8000;

/**
 * How many calls that are not to be a held lane's next probe give their places to other requests, at most once a second. A
 * batch that comes lines up that near to the lane's present turn.
 */
const giveWay = 10;

const tenantOf = (source: string): string => source.slice(0, source.lastIndexOf('/'));

/**
 * Ranks the sources that may probe a held lane, the best of them lowest: one of a tenant none of whose sources has failed,
 * one that has not failed itself, and then the one that failed longest ago.
 *
 * @param failedSources the latest last
 */
const rankProbes = (failedSources: readonly string[]) => {
  const failedAt = new Map(failedSources.map((source, i) => [source, i]));
  const failedTenants = new Set(failedSources.map(tenantOf));
  return (source: string): number => {
    if (!failedTenants.has(tenantOf(source))) return bestRank;
    return failedAt.get(source) ?? -1;
  };
};
const bestRank = -2;

/**
 * One process's gate to a lane. Calls wait here in the order in which they came, at no cost: the process asks Redis
 * about the first of them, one question at a time, and asks again at the time that Redis names.
 */
export const createLaneGate = (options: LaneGateOptions): LaneGate => {
  const { control, look, isRunning, timeoutMs, liveShare, onHold, onError } = options;
  const freePass = createFreePass();
  const ends = createEndReporter({ control, onError });
  const onLookDue = (atMs: number): void => void look(atMs).then(() => wake?.());
  const onProbeEnd = (): void => wake?.();
  const makeAdmission = createMakeAdmission({ control, freePass, ends, onHold, onLookDue, onProbeEnd, onError });
  const waiting: Waiter[] = [];
  const order = createCallOrder(liveShare);
  let isAsking = false;
  let isShut = false;
  let wake: (() => void) | undefined;
  let batchesSeenAtMs = -Infinity;
  /**
   * When Redis last said that the lane is closed. Calls with a fallback rely on that for 1 s; then one of them asks
   * again.
   */
  let closedAtMs = -Infinity;
  let closedForMs = 0;
  /** Whether the lane was held at the last question, whether calls of known sources had failed, and who probes best. */
  let isHeld = false;
  let hasFailedSources = false;
  let rankOf = rankProbes([]);

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  /** Of the calls that wait, the one whose request finds out best whether a held lane is open. */
  const findProbe = (): Waiter | undefined =>
    waiting.reduce<Waiter | undefined>(
      (best, next) => (best && rankOf(best.source) <= rankOf(next.source) ? best : next),
      undefined,
    );

  /** The calls that may go together with a held lane's next probe: all of a tenant of which none has failed. */
  const mayGoWith = (probe: Waiter): Waiter[] =>
    rankOf(probe.source) === bestRank
      ? waiting.filter(({ source }) => tenantOf(source) === tenantOf(probe.source))
      : [probe];

  /** Asks Redis about the first calls that wait. Returns how long to wait before the next question, in milliseconds. */
  const ask = async (): Promise<number> => {
    const probe = isHeld ? findProbe() : undefined;
    const asked = order.next(probe ? mayGoWith(probe) : waiting, askAtOnce);
    const renewFreePass = freePass.awaitAnswer();
    const askedAtMs = performance.now();
    const estimates = asked.map(({ estimatedTokens }) => estimatedTokens);
    const answer = await control.admit(estimates, Math.min(timeoutMs, longestProbeMs), probe && asked[0]?.source);
    renewFreePass(answer);
    isHeld = answer.isProbe || heldAnswers.has(answer.waitFor);
    hasFailedSources = answer.failedSources.length > 0;
    rankOf = rankProbes(answer.failedSources);
    if (answer.waitFor === 'source') return 0;
    if (answer.closedForMs > 0) [closedAtMs, closedForMs] = [performance.now(), answer.closedForMs];

    const granted = asked.slice(0, answer.granted);
    // Calls that were given up while the question was under way have nobody else to report their end.
    const givenUp = granted.filter((waiter) => !waiting.includes(waiter));
    for (const call of granted) order.note(call);
    for (const waiter of granted)
      if (!givenUp.includes(waiter)) waiter.settle(makeAdmission(waiter.estimatedTokens, answer, askedAtMs));
    for (const waiter of waiting.filter(({ fallback }) => fallback?.isBetter(answer.closedForMs)))
      waiter.settle('fallback');
    if (answer.othersWait)
      for (const waiter of waiting.filter((each) => each !== probe && rankOf(each.source) !== bestRank))
        waiter.settle('later');
    for (const { estimatedTokens } of givenUp)
      await control.reportEnd({ signal: 'unsent', grantedAtMs: answer.atMs, estimatedTokens });

    if (answer.waitFor === 'look') await look(answer.atMs);
    if (answer.granted === asked.length || answer.waitFor === 'look') return 0;
    const longestMs = answer.waitFor === 'probe' || hasFailedSources ? probeWaitMs : longestWaitMs;
    return Math.min(longestMs, Math.max(1, answer.waitMs));
  };

  /**
   * Sends away the calls of batches that are stopped or paused: the lane may be held for long. Each batch is read once.
   * When calls of each tenant that waits here have failed, some give their places to requests of other sources.
   */
  const sendUnwantedAway = async (): Promise<void> => {
    const nowMs = performance.now();
    const [first] = waiting;
    if (!first || nowMs - Math.max(first.sinceMs, batchesSeenAtMs) < longestWaitMs) return;
    batchesSeenAtMs = nowMs;
    const ids = [...new Set(waiting.filter(({ isLive }) => !isLive).map(({ batchId }) => batchId))];
    const running = await Promise.all(ids.map(isRunning));
    const unwanted = new Set(ids.filter((_, i) => !running[i]));
    for (const waiter of waiting.filter(({ batchId }) => unwanted.has(batchId))) waiter.settle('unwanted');
    if (!isHeld || !hasFailedSources) return;
    const probe = findProbe();
    if (probe && rankOf(probe.source) !== bestRank)
      for (const waiter of waiting.filter((each) => each !== probe).slice(0, giveWay)) waiter.settle('later');
  };

  const letIn = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      while (waiting.length > 0) {
        const waitMs = await ask();
        if (waitMs > 0 && waiting.length > 0) {
          await sleep(waitMs);
          await sendUnwantedAway();
        }
      }
    } catch (error) {
      onError(error);
      await sleep(longestWaitMs);
    } finally {
      isAsking = false;
    }
    if (waiting.length > 0) void letIn();
  };

  const wait = (call: WantedCall, signal: AbortSignal, sinceMs: number): Promise<Entrance | undefined> =>
    new Promise((resolve) => {
      const giveUp = (): void => waiter.settle(undefined);
      const waiter: Waiter = {
        ...call,
        sinceMs,
        settle(outcome) {
          signal.removeEventListener('abort', giveUp);
          waiting.splice(waiting.indexOf(waiter), 1);
          resolve(outcome);
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      // It may be the next probe of a held lane at once.
      const probe = hasFailedSources ? findProbe() : undefined;
      if (probe && rankOf(call.source) < Math.min(0, rankOf(probe.source))) wake?.();
      waiting.push(waiter);
      void letIn();
    });

  return {
    async admit(call, signal) {
      const nowMs = performance.now();
      if (signal.aborted || isShut) return undefined;
      if (call.fallback?.isBetter(nowMs - closedAtMs < longestWaitMs ? closedForMs : 0)) return 'fallback';
      const grant = waiting.length === 0 ? freePass.grantAt(nowMs) : undefined;
      return grant ? makeAdmission(call.estimatedTokens, grant, nowMs) : wait(call, signal, nowMs);
    },
    shut() {
      isShut = true;
      for (const waiter of waiting.slice()) waiter.settle(undefined);
      wake?.();
    },
    close: () => ends.report(),
  };
};
