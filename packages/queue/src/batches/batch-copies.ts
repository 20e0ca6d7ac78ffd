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

/** Which requests of a batch repeat others. */
export interface NotedRepeats {
  /** The name of the list of them in the batch's scratch folder. */
  readonly list: string;
  /** One bit for each request, in Redis's bit order. */
  readonly bits: Buffer;
  readonly count: number;
  /** How many requests get no call: the repeats, and those that have copies by now. */
  readonly uncalled: number;
}

const noteRepeats = defineScript<
  [batch: string, repeatBits: string],
  [before: string, list: string, bits: Buffer, count: number, uncalled: number],
  0 | 1
>(new URL('./note-repeats.lua', import.meta.url));
const commitCopies = defineScript<
  [batch: string, settledBits: string, segments: string],
  [segment: string, ...indexesStatusesAndSavings: (string | number)[]],
  number
>(new URL('./commit-copies.lua', import.meta.url));

/** Which requests of a batch get copies, and the copies that they have. */
export const createBatchCopies = (redis: RedisConnection, keys: Keys) => ({
  /**
   * Notes which requests repeat others, unless another process has done so. From then on the batch's requests are
   * dispatched, all but those.
   *
   * @param before the list of repeats that the batch had; undefined when it had none
   */
  async noteRepeats(
    id: string,
    before: string | undefined,
    { list, bits, count, uncalled }: NotedRepeats,
  ): Promise<void> {
    await noteRepeats(redis, [keys.batch(id), keys.repeatBits(id)], [before ?? '', list, bits, count, uncalled]);
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
