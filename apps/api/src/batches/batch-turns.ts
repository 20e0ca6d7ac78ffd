import { ApiError } from '@promptmill/core';

/** Batches of one tenant that may be made at once, and how far apart the next ones are, in milliseconds. */
const atOnce = 10;
const apartMs = 100;
const longestWaitMs = 30_000;

export interface BatchTurnsOptions {
  /** Whether another tenant than this one uses the api just now. */
  readonly hasOthers: (tenant: string) => boolean;
  /** Resolves after so many milliseconds, or when the process stops. */
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Spreads the batches that one tenant makes while others use the api: even a batch of one request takes tens of
 * milliseconds of processor time on its way through api, worker and collector. A tenant that is alone need not wait.
 */
export const createBatchTurns = ({ hasOthers, sleep }: BatchTurnsOptions) => {
  /** When each tenant's next batch is due. */
  const nextMs = new Map<string, number>();

  /** Resolves when the tenant may make its next batch. Throws 429 at once when that is over 30 s away. */
  return async (tenant: string): Promise<void> => {
    if (!hasOthers(tenant)) {
      nextMs.delete(tenant);
      return;
    }
    const nowMs = performance.now();
    const dueMs = Math.max(nextMs.get(tenant) ?? -Infinity, nowMs - (atOnce - 1) * apartMs);
    const waitMs = dueMs - nowMs;
    if (waitMs > longestWaitMs)
      throw new ApiError(
        429,
        `While others use this service, you may make ${1000 / apartMs} batches a second; ` +
          `${Math.floor(waitMs / apartMs)} wait already. Make fewer, larger batches, or try again later.`,
        { code: 'too_many_new_batches', retryAfterSeconds: Math.ceil(waitMs / 1000) },
      );
    nextMs.set(tenant, dueMs + apartMs);
    if (waitMs > 0) await sleep(waitMs);
  };
};

export type BatchTurns = ReturnType<typeof createBatchTurns>;
