import { ApiError, type BatchObject, isTerminal, toBatchObject } from '@promptmill/core';
import { wakeBatchJob } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/**
 * `POST /v1/batches/{batch_id}/cancel`: starts no further call for the batch; calls in flight may still end. Cancelling
 * again changes nothing. 409 once the batch can no longer be cancelled, as OpenAI answers.
 */
export const cancelBatch =
  ({ batches, batchesQueue, journal, now }: Pick<ApiDependencies, 'batches' | 'batchesQueue' | 'journal' | 'now'>) =>
  async ({ tenant, params }: Call<BatchParams>): Promise<BatchObject> => {
    const { id } = await findBatch(batches, tenant, params.batch_id);
    await batches.transition(id, 'cancelling', now(), { stopping: 'cancelled' });
    await withinQueueTimeout(wakeBatchJob(batchesQueue, id));
    const batch = await findBatch(batches, tenant, id);
    if (batch.cancellingAt === undefined)
      throw new ApiError(409, `Cannot cancel a batch with status '${batch.status}'.`);
    if (!isTerminal(batch.status)) await journal.noteCancel(id, now());
    return toBatchObject(batch);
  };
