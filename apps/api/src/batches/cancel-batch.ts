import { type BatchObject, toBatchObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';
import { assertCancelled, createRequestCancel } from './request-cancel.ts';

/**
 * `POST /v1/batches/{batch_id}/cancel`: starts no further call for the batch; calls in flight may still end. Cancelling
 * again changes nothing. 409 once the batch can no longer be cancelled, as OpenAI answers.
 */
export const cancelBatch = (dependencies: Parameters<typeof createRequestCancel>[0]) => {
  const requestCancel = createRequestCancel(dependencies);
  return async ({ tenant, params }: Call<BatchParams>): Promise<BatchObject> => {
    const { id } = await findBatch(dependencies.batches, tenant, params.batch_id);
    return toBatchObject(assertCancelled(id, await requestCancel(id)));
  };
};
