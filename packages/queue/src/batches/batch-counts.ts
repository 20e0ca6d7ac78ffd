import type { Batch, BatchStatus } from '@promptmill/core';
import { type CopyCounts, type Counts, type DispatchState, encodeFields } from './batch-record.ts';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

const at = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);
const countBytes = defineScript<
  [batch: string, bytesOfBatches: string, bytesOfTenants: string],
  [id: string, tenant: string, mostOfTenant: number, mostOfAll: number, wanted: number],
  number
>(at('count-bytes'));
const countsDiffer = defineScript<[batch: string, settledBits: string, results: string], [id: string], 0 | 1>(
  at('counts-differ'),
);
const recountBatch = defineScript<
  [batch: string, settledBits: string, segments: string],
  [
    status: BatchStatus,
    completed: number,
    failed: number,
    collected: number,
    dispatched: number,
    bits: Buffer,
    newSegmentCount: number,
    ...newSegmentsThenFieldsAndValues: string[],
  ],
  0 | 1
>(at('recount-batch'));
const resultsBytes = defineScript<[results: string], [], number>(at('results-bytes'));

/** What is counted of batches: the bytes they take in Redis, and their results once more when the counts are wrong. */
export const createBatchCounts = (redis: RedisConnection, keys: Keys) => ({
  /**
   * Counts the bytes of input lines that a batch has in its lanes, for its tenant and for all tenants. Resolves with
   * how many the batch may have: up to `wanted`, which then count until the next call.
   *
   * @param wanted 0 to count only; -1 when the batch has ended and counts no more
   */
  countBytes(
    { id, tenant }: Pick<Batch, 'id' | 'tenant'>,
    wanted: number,
    most: { readonly ofTenant: number; readonly ofAll: number } = { ofTenant: 0, ofAll: 0 },
  ): Promise<number> {
    return countBytes(
      redis,
      [keys.batch(id), keys.bytesOfBatches(tenant), keys.bytesOfTenants],
      [id, tenant, most.ofTenant, most.ofAll, wanted],
    );
  },

  /** Whether a batch's counts, bits and segments disagree although no result is on its way to a segment. */
  async differ(id: string): Promise<boolean> {
    return (await countsDiffer(redis, [keys.batch(id), keys.settledBits(id), keys.results], [id])) === 1;
  },

  /**
   * Sets a batch's counts and bits to what its segments hold. False when the batch has changed since it was read: its
   * status or counts are no longer the given ones.
   *
   * @param settled one bit for each request, in Redis's bit order
   * @param newSegments names of segments that Redis does not list yet
   */
  async recount(
    {
      id,
      status,
      completed,
      failed,
      collected,
      dispatched,
    }: Pick<Batch, 'id' | 'status' | 'completed' | 'failed'> & Pick<DispatchState, 'collected' | 'dispatched'>,
    { usage, ...counts }: Counts & CopyCounts,
    settled: Buffer,
    newSegments: readonly string[],
  ): Promise<boolean> {
    const written = encodeFields({
      ...counts,
      ...usage,
      collected: counts.completed + counts.failed,
      uncollectedBytes: 0,
      dropped: 0,
    });
    const set = await recountBatch(
      redis,
      [keys.batch(id), keys.settledBits(id), keys.segments(id)],
      [status, completed, failed, collected, dispatched, settled, newSegments.length, ...newSegments, ...written],
    );
    return set === 1;
  },

  /** Bytes of Redis's memory that the results of all batches take until they are in segments. */
  resultsBytes: (): Promise<number> => resultsBytes(redis, [keys.results], []),
});

export type BatchCounts = ReturnType<typeof createBatchCounts>;
