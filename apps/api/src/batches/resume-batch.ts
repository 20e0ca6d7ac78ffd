import { ApiError, type BatchObject, toBatchObject } from '@promptmill/core';
import { wakeBatchJob } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/**
 * `POST /v1/batches/{batch_id}/resume`: a paused batch goes on where it was, within a second or two. It changes nothing
 * for a batch that is not paused. 409 when the batch is stopped, finalizing or terminal.
 */
export const resumeBatch =
  ({ batches, batchesQueue, journal, now }: Pick<ApiDependencies, 'batches' | 'batchesQueue' | 'journal' | 'now'>) =>
  async ({ tenant, params }: Call<BatchParams>): Promise<BatchObject> => {
    const { id } = await findBatch(batches, tenant, params.batch_id);
    const outcome = await batches.resume(id);
    if (outcome.kind === 'refused') throw new ApiError(409, `Cannot resume a batch with status '${outcome.status}'.`);
    await withinQueueTimeout(wakeBatchJob(batchesQueue, id));
    if (outcome.kind === 'done') await journal.notePause(id, outcome.pause, now());
    return toBatchObject(await findBatch(batches, tenant, id));
  };
