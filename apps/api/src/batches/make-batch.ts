import { ApiError, type Batch, completionWindowSeconds, type FileRecord } from '@promptmill/core';
import { addBatchJob, type NewBatch } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { claimKey, hashOf, type KeyedRequest } from '../idempotency.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { badRequest } from '../request-problem.ts';
import { overLimit } from '../tenants/over-limit.ts';
import { batchJobName } from './batch-job-name.ts';
import { type Creation, newCreation } from './creation.ts';

/** The terms of a batch that the client's request decides. */
export type BatchTerms = Pick<
  NewBatch,
  | 'endpoint'
  | 'inputFileId'
  | 'completionWindow'
  | 'metadata'
  | 'outputExpiresAfterSeconds'
  | 'checkSchema'
  | 'dedupe'
  | 'cache'
  | 'tier'
  | 'strategy'
  | 'maxCostNanoUsd'
  | 'webhook'
  | 'retryOf'
>;

export interface BatchOrder {
  readonly tenant: string;
  /** The `Idempotency-Key`. The same key with the same `content` makes one batch. */
  readonly key: string | undefined;
  readonly content: unknown;
  /** Whether its caller has hung up. */
  readonly isGone: () => boolean;
  /** The caller's `traceparent`. */
  readonly traceparent: string | undefined;
  /** Stores or checks the input file and returns the batch's terms. It may be called again. */
  readonly prepare: (creation: Creation) => Promise<BatchTerms>;
}

type Dependencies = Pick<
  ApiDependencies,
  | 'claims'
  | 'batches'
  | 'records'
  | 'removeFile'
  | 'batchesQueue'
  | 'journal'
  | 'replayed'
  | 'redis'
  | 'batchTurns'
  | 'tenants'
  | 'tracing'
  | 'now'
  | 'passFailPoint'
>;

/**
 * Makes a batch: input, record, job, list entry, in this order. When that breaks off, the record expires, or the job
 * finishes the creation.
 */
export const createMakeBatch = (dependencies: Dependencies) => {
  const {
    redis,
    claims,
    batches,
    records,
    removeFile,
    batchesQueue,
    journal,
    replayed,
    batchTurns,
    tenants,
    tracing,
    now,
    passFailPoint,
  } = dependencies;

  /** Notes that the batch needs its input, and counts it. Resolves with the input file's record. */
  const useInput = async (tenant: string, inputFileId: string, batchId: string): Promise<FileRecord> => {
    const input = await records.get(tenant, inputFileId);
    const requests = input?.summary?.requests ?? 0;
    const limits = tenants.limitsOf(tenant);
    // The file can be deleted until this call, and not after it.
    const outcome = input && (await records.use(tenant, inputFileId, { batchId, requests, limits }, now()));
    if (outcome?.kind === 'over limit') {
      const { what, used } = outcome;
      throw what === 'batches'
        ? overLimit('activeBatches', { limit: limits.activeBatches ?? 0, used })
        : overLimit('queuedRequests', { limit: limits.queuedRequests ?? 0, used, more: requests });
    }
    if (!input || outcome?.kind === 'missing')
      throw badRequest({
        message: `No such File object: ${inputFileId}`,
        code: 'file_not_found',
        param: 'input_file_id',
      });
    return input;
  };

  /** Resolves with the input file's record. */
  const writeBatch = async (order: BatchOrder, creation: Creation): Promise<FileRecord> => {
    const { tenant, prepare } = order;
    const trace = tracing.begin(order.traceparent);
    await batchTurns(tenant);
    // A caller that gave up may be asking again.
    if (order.isGone()) throw new ApiError(408, 'The caller hung up before the batch had its turn.');
    const { batchId, outputFileId, errorFileId, createdAt } = creation;
    const terms = await prepare(creation);
    const { inputFileId } = terms;
    const input = await useInput(tenant, inputFileId, batchId).catch(async (error: unknown) => {
      // An input that was made for this batch has no other use.
      if (error instanceof ApiError && inputFileId === creation.inputFileId) await removeFile(tenant, inputFileId);
      throw error;
    });
    const expiresAt = createdAt + (completionWindowSeconds(terms.completionWindow) ?? 0);
    await batches.create({
      id: batchId,
      tenant,
      outputFileId,
      errorFileId,
      createdAt,
      expiresAt,
      ...terms,
      ...(trace ? { trace } : {}),
    });
    return input;
  };

  return async (order: BatchOrder): Promise<Batch> => {
    const { tenant, key, content } = order;
    const keyed: KeyedRequest | undefined =
      key === undefined ? undefined : { tenant, key, contentHash: hashOf(JSON.stringify(content)) };
    // Redis may have lost the key, and a replay may be restoring it.
    if (keyed) await replayed();
    const fresh = newCreation(now());
    const { made: creation, repeated } = keyed
      ? await claimKey(claims, keyed, fresh)
      : { made: fresh, repeated: false };
    const { batchId } = creation;
    let input: FileRecord | undefined;
    if (!repeated || !(await batches.get(batchId)))
      try {
        input = await writeBatch(order, creation);
        passFailPoint('batch-recorded');
      } catch (error) {
        const refused = error instanceof ApiError && error.status < 500;
        // A corrected request may use the key.
        if (keyed && refused) await claims.release(keyed, creation);
        throw error;
      }

    // The batch is read before its job exists; after that its status may change.
    const batch = await batches.get(batchId);
    if (!batch) throw new Error(`batch ${batchId} was lost during its creation`);
    if (batch.status === 'validating') {
      await withinQueueTimeout(redis, addBatchJob(batchesQueue, batchId, batchJobName(batch, input)));
      passFailPoint('batch-queued');
      await batches.confirmCreated(batch, now());
      await journal.noteBatch(batch, keyed && { ...keyed, fresh: creation });
    }
    return batch;
  };
};
