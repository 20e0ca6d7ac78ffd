import type { RequestStatus } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

/** A copy of a result, in a segment. */
export interface CommittedCopy {
  readonly index: number;
  readonly status: RequestStatus;
  /** What its call would have cost, in billionths of a dollar; undefined when that is unknown. */
  readonly savedNanoUsd: number | undefined;
}

const commitCopies = defineScript<
  [batch: string, settledBits: string, segments: string],
  [segment: string, ...indexesStatusesAndSavings: (string | number)[]],
  number
>(new URL('./commit-copies.lua', import.meta.url));

/** Which requests of a batch get copies, and the copies that they have. */
export const createBatchCopies = (redis: RedisConnection, keys: Keys) => ({
  /**
   * Notes which requests repeat others. From then on the batch's requests are dispatched, all but those.
   *
   * @param bits one bit for each request, in Redis's bit order
   * @param repeats how many are set
   * @param cached how many requests have copies by now
   */
  async prepared(id: string, bits: Buffer, repeats: number, cached: number): Promise<void> {
    if (repeats > 0) await redis.set(keys.repeatBits(id), bits);
    await redis.hset(keys.batch(id), { prepared: 1, repeats, uncalled: repeats + cached });
  },

  /**
   * Counts the copies in a published segment, each request once. Resolves with how many were new; undefined when the batch
   * wants no more, since it is stopped or has ended.
   */
  async commit(id: string, segment: string, copies: readonly CommittedCopy[]): Promise<number | undefined> {
    const counted = await commitCopies(
      redis,
      [keys.batch(id), keys.settledBits(id), keys.segments(id)],
      [segment, ...copies.flatMap(({ index, status, savedNanoUsd }) => [index, status, savedNanoUsd ?? '-'])],
    );
    return counted < 0 ? undefined : counted;
  },
});

export type BatchCopies = ReturnType<typeof createBatchCopies>;
