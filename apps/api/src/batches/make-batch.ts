import { ApiError, type Batch, completionWindowSeconds } from '@promptmill/core';
import { addBatchJob, type NewBatch } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { createClaims, type Creation, newCreation } from './creation.ts';

/** What a creation decides of a batch. */
export type BatchTerms = Pick<
  NewBatch,
  'endpoint' | 'inputFileId' | 'completionWindow' | 'metadata' | 'outputExpiresAfterSeconds' | 'retryOf'
>;

export interface BatchOrder {
  readonly tenant: string;
  /** Its `Idempotency-Key`: with the same again, and the same `content`, there is one batch. */
  readonly key: string | undefined;
  readonly content: unknown;
  /** Sees to the input file and says what the batch is to be. Doing so again does the same. */
  readonly prepare: (creation: Creation) => Promise<BatchTerms>;
}

type Dependencies = Pick<ApiDependencies, 'redis' | 'keys' | 'batches' | 'batchesQueue' | 'now' | 'reach'>;

/**
 * Makes a batch: input, record, job, list entry, in this order. A creation that breaks off leaves a record that goes away
 * by itself, or a job that finishes the creation.
 */
export const createMakeBatch = ({ redis, keys, batches, batchesQueue, now, reach }: Dependencies) => {
  const claims = createClaims(redis, keys);

  const writeBatch = async ({ tenant, prepare }: BatchOrder, creation: Creation): Promise<void> => {
    const { batchId, outputFileId, errorFileId, createdAt } = creation;
    const terms = await prepare(creation);
    const expiresAt = createdAt + (completionWindowSeconds(terms.completionWindow) ?? 0);
    await batches.create({ id: batchId, tenant, outputFileId, errorFileId, createdAt, expiresAt, ...terms });
  };

  const claim = async ({ tenant, key, content }: BatchOrder) => {
    const fresh = newCreation(now());
    return key === undefined ? { creation: fresh, repeated: false } : claims.claim(tenant, key, content, fresh);
  };

  return async (order: BatchOrder): Promise<Batch> => {
    const { tenant, key } = order;
    const { creation, repeated } = await claim(order);
    const { batchId } = creation;
    if (!repeated || !(await batches.get(batchId)))
      try {
        await writeBatch(order, creation);
        reach('batch-recorded');
      } catch (error) {
        const refused = error instanceof ApiError && error.status < 500;
        if (key !== undefined && refused && !repeated) await claims.release(tenant, key);
        throw error;
      }

    // Read before the job is there: from then on the batch may move.
    const batch = await batches.get(batchId);
    if (!batch) throw new Error(`batch ${batchId} is gone while it was created`);
    if (batch.status === 'validating') {
      await withinQueueTimeout(addBatchJob(batchesQueue, batchId));
      reach('batch-queued');
      await batches.confirmCreated(batch, now());
    }
    return batch;
  };
};
