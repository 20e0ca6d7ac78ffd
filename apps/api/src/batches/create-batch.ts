import { ApiError, type BatchObject, completionWindowSeconds, isFileId, toBatchObject } from '@promptmill/core';
import { addBatchJob } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { badRequest, checkRequest } from '../request-problem.ts';
import { type CreateBatchBody, createBatchHeaders } from './batch-schemas.ts';
import { createClaims, type Creation, newCreation } from './creation.ts';
import { createStorePrompts } from './store-prompts.ts';

type Dependencies = Pick<
  ApiDependencies,
  'redis' | 'keys' | 'records' | 'batches' | 'batchesQueue' | 'receiveInput' | 'now'
>;

/**
 * `POST /v1/batches`, from an input file or from prompts. Record, job, list entry, in this order: a creation that breaks
 * off leaves a record that goes away by itself, or a job that finishes the creation.
 */
export const createBatch = (dependencies: Dependencies) => {
  const { redis, keys, records, batches, batchesQueue, now } = dependencies;
  const claims = createClaims(redis, keys);
  const storePrompts = createStorePrompts(dependencies);

  const checkInputFile = async (tenant: string, id: string): Promise<void> => {
    const file = isFileId(id) ? await records.get(tenant, id) : undefined;
    const param = 'input_file_id';
    if (!file) throw badRequest({ message: `No such File object: ${id}`, code: 'file_not_found', param });
    if (file.purpose !== 'batch') {
      const message = `Invalid '${param}': the purpose of the file must be 'batch', but is '${file.purpose}'.`;
      throw badRequest({ message, code: 'invalid_purpose', param });
    }
  };

  const writeBatch = async (tenant: string, body: CreateBatchBody, creation: Creation): Promise<void> => {
    const { batchId, outputFileId, errorFileId, createdAt } = creation;
    const fromPrompts = 'prompts' in body;
    if (fromPrompts) await storePrompts(body, { fileId: creation.inputFileId, tenant, createdAt });
    else await checkInputFile(tenant, body.input_file_id);
    const { output_expires_after: expiry } = body;
    await batches.create({
      id: batchId,
      tenant,
      endpoint: body.endpoint,
      inputFileId: fromPrompts ? creation.inputFileId : body.input_file_id,
      completionWindow: body.completion_window,
      metadata: body.metadata ?? null,
      outputFileId,
      errorFileId,
      ...(expiry ? { outputExpiresAfterSeconds: expiry.seconds } : {}),
      createdAt,
      expiresAt: createdAt + (completionWindowSeconds(body.completion_window) ?? 0),
    });
  };

  const claim = async (tenant: string, key: string | undefined, body: CreateBatchBody) => {
    const fresh = newCreation(now());
    return key === undefined ? { creation: fresh, repeated: false } : claims.claim(tenant, key, body, fresh);
  };

  return async ({ tenant, body, request }: Call<unknown, unknown, CreateBatchBody>): Promise<BatchObject> => {
    const { 'idempotency-key': key } = checkRequest(createBatchHeaders, request.headers);
    const { creation, repeated } = await claim(tenant, key, body);
    const { batchId } = creation;
    if (!repeated || !(await batches.get(batchId)))
      try {
        await writeBatch(tenant, body, creation);
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
      await batches.confirmCreated(batch, now());
    }
    return toBatchObject(batch);
  };
};
