import { ApiError, isBatchId } from '@promptmill/core';
import type { BatchParams } from '../batches/batch-schemas.ts';
import { assertCancelled, createRequestCancel } from '../batches/request-cancel.ts';
import type { Call } from '../call.ts';
import { toAdminBatch } from './admin-schemas.ts';

/** `POST /v1/admin/batches/{batch_id}/cancel`: cancels a batch of any tenant. 409 once it can no longer be cancelled. */
export const cancelAnyBatch = (dependencies: Parameters<typeof createRequestCancel>[0]) => {
  const requestCancel = createRequestCancel(dependencies);
  return async ({ params }: Call<BatchParams>) => {
    const { batch_id: id } = params;
    if (!isBatchId(id)) throw new ApiError(404, `No batch found with id '${id}'.`);
    return toAdminBatch(assertCancelled(id, await requestCancel(id)));
  };
};
