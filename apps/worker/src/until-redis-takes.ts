import { setTimeout as wait } from 'node:timers/promises';
import { backoffDelayMs } from '@promptmill/core';
import { DelayedError } from 'bullmq';

/** Does a piece of work on Redis, again and again until it succeeds. */
export type UntilRedisTakes = <T>(work: () => Promise<T>) => Promise<T>;

export interface UntilRedisTakesOptions {
  /** Fires when the process has no time left. */
  readonly signal: AbortSignal;
  readonly onRefused: (error: unknown) => void;
  /** Rejects when the signal fires. Default: the system's timer. */
  readonly sleep?: (ms: number, value: undefined, options: { signal: AbortSignal }) => Promise<unknown>;
}

/** Short, so that work goes on soon after the refusals end. */
const backoff = { attempts: Infinity, baseDelayMs: 100, maxDelayMs: 2000 };

/** With a number BullMQ says that the job is not this worker's any more; time does not change that. */
const isFinal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'number';

/**
 * What Redis refuses (out of memory, disk full, loading, failing over) is tried again until it is taken: an answer that was
 * paid for is not thrown away, and Redis's trouble uses no attempt of a request. While Redis is not reachable at all, a
 * command waits by itself. Once the signal has fired, a refusal throws DelayedError: by that BullMQ leaves the job as it is,
 * for another worker.
 */
export const createUntilRedisTakes =
  ({ signal, onRefused, sleep = wait }: UntilRedisTakesOptions): UntilRedisTakes =>
  async (work) => {
    for (let attempt = 1; ; attempt++)
      try {
        return await work();
      } catch (error) {
        if (isFinal(error)) throw error;
        onRefused(error);
        if (signal.aborted) throw new DelayedError('Redis refuses, and the process must end');
        await sleep(backoffDelayMs(backoff, attempt, (1 + Math.random()) / 2), undefined, { signal }).catch(() => {});
      }
  };
