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

/** A number as code is BullMQ's: another worker has the job. Trying again does not change that. */
const isFinal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'number';

/**
 * Repeats work that Redis refuses (out of memory, disk full, loading, failing over) until Redis takes it: an answer
 * that was paid for is not thrown away, and a refusal by Redis uses no attempt. While Redis cannot be reached, the
 * command itself waits. Once the signal has fired, a refusal throws DelayedError: BullMQ then leaves the job as it is,
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
