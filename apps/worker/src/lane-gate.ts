import type { CallEnd, LaneAnswer, LaneControl } from '@promptmill/queue';
import type { WayOut } from './fall-back.ts';

/** Leave to make one call. Whoever has it says how the call ended. */
export interface Admission {
  /** The call goes out now. False when it is too late for that: the lane may count it no more. */
  send(): boolean;
  leave(end: Omit<CallEnd, 'grantedAtMs' | 'countedAtMs' | 'estimatedTokens' | 'count'>): Promise<void>;
}

/** A call that wants to be let in. */
export interface WantedCall {
  readonly batchId: string;
  readonly estimatedTokens: number;
  readonly wayOut?: Pick<WayOut, 'isBetter'> | undefined;
}

/** `left`: the way out is better than to wait; `unwanted`: its batch wants no call now. */
type Entrance = Admission | 'left' | 'unwanted';

export interface LaneGate {
  /** Waits until the lane's limits allow a call, or until there is no use in waiting; undefined when the signal fires. */
  enter(call: WantedCall, signal: AbortSignal): Promise<Entrance | undefined>;
  /** Lets no call in any more: who waits, or comes, is told so as if its signal had fired. */
  shut(): void;
  /** Tells the lane what it has not been told yet. */
  close(): Promise<void>;
}

type Grant = Pick<LaneAnswer, 'atMs' | 'isProbe' | 'sendWithinMs'>;

interface Waiter extends WantedCall {
  readonly since: number;
  settle(outcome: Entrance | undefined): void;
}

export interface LaneGateOptions {
  readonly control: Pick<LaneControl, 'enter' | 'countLate' | 'leave'>;
  /** Whether a batch still wants its requests to be begun. */
  readonly isRunning: (batchId: string) => Promise<boolean>;
  /** The longest one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Called when a call's end begins a hold of the lane, once for the fleet. */
  readonly onHold: (reason: string, heldUntilMs: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Asked for at once; more would make one script long. */
const askAtOnce = 64;
/** A limit that was changed, a hold that was lifted, or a batch that was stopped, is noticed after this long. */
const longestWaitMs = 1000;
/** A probe of another process may be answered at any moment. */
const probeWaitMs = 250;
/** The process whose call was the probe may have died: a lane stands still for no longer than this. */
const longestProbeMs = 8000;
/** For so long after Redis said that nothing limits a lane, calls go in without a question: a volley asks once. */
const freeMs = 20;
/** A call that goes out later than this, as on a cold connection, counts from then on. The limits' windows allow for more. */
const punctualMs = 25;
/** Answers that only say that the provider works are told together. */
const tellTogetherMs = 50;

/**
 * One process's door to a lane. Those who wait cost nothing: the process asks Redis for the first of them, once, at the
 * time Redis has named.
 */
export const createLaneGate = ({ control, isRunning, timeoutMs, onHold, onError }: LaneGateOptions): LaneGate => {
  const waiting: Waiter[] = [];
  let asking = false;
  let isShut = false;
  let wake: (() => void) | undefined;
  let batchesSeenAt = -Infinity;
  /** When the lane was last found closed: for a while nobody asks again, then one who comes finds out how it is. */
  let closedAt = -Infinity;

  // A call let in so counts as granted when Redis said it: a hold that another process began since is not ended by it.
  let free: { readonly until: number; readonly grant: Grant } = {
    until: -Infinity,
    grant: { atMs: 0, isProbe: false },
  };
  /** So often may the lane have closed. */
  let closings = 0;
  const noLongerFree = (): void => {
    free = { ...free, until: -Infinity };
    closings++;
  };

  let works = { count: 0, grantedAtMs: 0 };
  let tellTimer: NodeJS.Timeout | undefined;
  const tellWorks = async (): Promise<void> => {
    tellTimer = undefined;
    const { count, grantedAtMs } = works;
    works = { count: 0, grantedAtMs: 0 };
    if (count > 0) await control.leave({ signal: 'ok', grantedAtMs, estimatedTokens: 0, count });
  };
  const noteWorks = (grantedAtMs: number): void => {
    works = { count: works.count + 1, grantedAtMs: Math.max(works.grantedAtMs, grantedAtMs) };
    tellTimer ??= setTimeout(() => {
      tellWorks().catch(onError);
    }, tellTogetherMs);
  };

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const take = async (waiter: Waiter, grant: Grant, askedAt: number): Promise<void> => {
    if (waiting.includes(waiter)) return waiter.settle(admission(waiter, grant, askedAt));
    // It gave up while the question was under way: nobody will say how its call ended, if not here.
    const { estimatedTokens } = waiter;
    await control.leave({ signal: 'unsent', grantedAtMs: grant.atMs, estimatedTokens });
  };

  /** A batch that is stopped or paused must not wait for a lane that may be held for long. Asked once for each batch. */
  const sendUnwantedAway = async (): Promise<void> => {
    const now = performance.now();
    const [first] = waiting;
    if (!first || now - Math.max(first.since, batchesSeenAt) < longestWaitMs) return;
    batchesSeenAt = now;
    const ids = [...new Set(waiting.map(({ batchId }) => batchId))];
    const running = await Promise.all(ids.map(isRunning));
    const unwanted = new Set(ids.filter((_, i) => !running[i]));
    for (const waiter of waiting.filter(({ batchId }) => unwanted.has(batchId))) waiter.settle('unwanted');
  };

  const letIn = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    try {
      while (waiting.length > 0) {
        const asked = waiting.slice(0, askAtOnce);
        const closingsThen = closings;
        const askedAt = performance.now();
        const answer = await control.enter(
          asked.map(({ estimatedTokens }) => estimatedTokens),
          Math.min(timeoutMs, longestProbeMs),
        );
        // An answer to what was asked before Redis knew of the latest refusal is out of date.
        if (answer.isFree && closings === closingsThen) free = { until: performance.now() + freeMs, grant: answer };
        for (const waiter of asked.slice(0, answer.granted)) await take(waiter, answer, askedAt);
        if (answer.isClosed) closedAt = performance.now();
        for (const waiter of waiting.filter(({ wayOut }) => wayOut?.isBetter(answer.isClosed))) waiter.settle('left');
        if (answer.granted < asked.length && waiting.length > 0) {
          await sleep(Math.min(answer.waitFor === 'probe' ? probeWaitMs : longestWaitMs, Math.max(1, answer.waitMs)));
          await sendUnwantedAway();
        }
      }
    } catch (error) {
      onError(error);
      await sleep(longestWaitMs);
    } finally {
      asking = false;
    }
    if (waiting.length > 0) void letIn();
  };

  const countLate = async (call: Parameters<LaneControl['countLate']>[0]): Promise<number | undefined> => {
    try {
      return await control.countLate(call);
    } catch (error) {
      onError(error);
      return undefined;
    }
  };

  const admission = ({ estimatedTokens }: WantedCall, grant: Grant, askedAt: number): Admission => {
    const { atMs: grantedAtMs, isProbe, sendWithinMs = Infinity } = grant;
    let counted: Promise<number | undefined> | undefined;
    return {
      send() {
        const lateMs = performance.now() - askedAt;
        if (lateMs > sendWithinMs) return false;
        if (lateMs > punctualMs && sendWithinMs < Infinity) counted = countLate({ grantedAtMs, estimatedTokens });
        return true;
      },
      async leave(end) {
        if (end.signal === 'ok' && !isProbe && estimatedTokens === 0) return noteWorks(grantedAtMs);
        if (end.signal !== 'none' && end.signal !== 'unsent') noLongerFree();
        const countedAtMs = await counted;
        const { heldUntilMs, began } = await control.leave({ ...end, grantedAtMs, countedAtMs, estimatedTokens });
        if (heldUntilMs > 0) noLongerFree();
        if (began) onHold(end.reason ?? end.signal, heldUntilMs);
        if (isProbe) wake?.();
      },
    };
  };

  return {
    enter: (call, signal) =>
      new Promise((resolve) => {
        const giveUp = (): void => waiter.settle(undefined);
        const waiter: Waiter = {
          ...call,
          since: performance.now(),
          settle(outcome) {
            signal.removeEventListener('abort', giveUp);
            waiting.splice(waiting.indexOf(waiter), 1);
            resolve(outcome);
          },
        };
        if (signal.aborted || isShut) return resolve(undefined);
        if (call.wayOut?.isBetter(performance.now() - closedAt < longestWaitMs)) return resolve('left');
        if (waiter.since < free.until && waiting.length === 0)
          return resolve(admission(waiter, free.grant, waiter.since));
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.push(waiter);
        void letIn();
      }),
    shut() {
      isShut = true;
      for (const waiter of waiting.slice()) waiter.settle(undefined);
      wake?.();
    },
    async close() {
      clearTimeout(tellTimer);
      await tellWorks();
    },
  };
};
