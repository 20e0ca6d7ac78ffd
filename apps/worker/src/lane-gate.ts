import type { CallEnd, LaneControl } from '@promptmill/queue';

/** Leave to make one call. Whoever has it says how the call ended. */
export interface Admission {
  readonly waitedMs: number;
  leave(end: Omit<CallEnd, 'grantedAtMs' | 'estimatedTokens' | 'count'>): Promise<void>;
}

export interface LaneGate {
  /** Waits until the lane's limits allow a call; undefined when the signal fires first. */
  enter(estimatedTokens: number, signal: AbortSignal): Promise<Admission | undefined>;
  /** Tells the lane what it has not been told yet. */
  close(): Promise<void>;
}

interface Waiter {
  readonly estimatedTokens: number;
  readonly since: number;
  admit(grantedAtMs: number, isProbe: boolean): void;
}

export interface LaneGateOptions {
  readonly control: Pick<LaneControl, 'enter' | 'leave'>;
  /** The longest one call may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly onError: (error: unknown) => void;
}

/** Asked for at once; more would make one script long. */
const askAtOnce = 64;
/** A limit that was changed, or a hold that was lifted, is noticed after this long. */
const longestWaitMs = 1000;
/** Answers that only say that the provider works are told together. */
const tellTogetherMs = 50;

/**
 * One process's door to a lane. Those who wait cost nothing: the process asks Redis for the first of them, once, at the
 * time Redis has named.
 */
export const createLaneGate = ({ control, timeoutMs, onError }: LaneGateOptions): LaneGate => {
  const waiting: Waiter[] = [];
  let asking = false;
  let wake: (() => void) | undefined;

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

  const letIn = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    try {
      while (waiting.length > 0) {
        const asked = waiting.slice(0, askAtOnce);
        const answer = await control.enter(
          asked.map(({ estimatedTokens }) => estimatedTokens),
          timeoutMs,
        );
        // Those who gave up meanwhile are gone from the line; the next take their place.
        for (const waiter of waiting.splice(0, answer.granted)) waiter.admit(answer.atMs, answer.isProbe);
        if (answer.granted < asked.length) await sleep(Math.min(longestWaitMs, Math.max(1, answer.waitMs)));
      }
    } catch (error) {
      onError(error);
      await sleep(longestWaitMs);
    } finally {
      asking = false;
    }
    if (waiting.length > 0) void letIn();
  };

  const admission = (waiter: Pick<Waiter, 'estimatedTokens' | 'since'>, grantedAtMs: number, isProbe: boolean) => ({
    waitedMs: performance.now() - waiter.since,
    async leave(end: Omit<CallEnd, 'grantedAtMs' | 'estimatedTokens' | 'count'>): Promise<void> {
      const { estimatedTokens } = waiter;
      if (end.signal === 'ok' && !isProbe && estimatedTokens === 0) return noteWorks(grantedAtMs);
      await control.leave({ ...end, grantedAtMs, estimatedTokens });
    },
  });

  return {
    enter: (estimatedTokens, signal) =>
      new Promise((resolve) => {
        const giveUp = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          resolve(undefined);
        };
        const waiter: Waiter = {
          estimatedTokens,
          since: performance.now(),
          admit(grantedAtMs, isProbe) {
            signal.removeEventListener('abort', giveUp);
            resolve(admission(waiter, grantedAtMs, isProbe));
          },
        };
        if (signal.aborted) return resolve(undefined);
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.push(waiter);
        void letIn();
      }),
    async close() {
      wake?.();
      clearTimeout(tellTimer);
      await tellWorks();
    },
  };
};
