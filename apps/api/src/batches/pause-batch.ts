import { ApiError, type BatchObject, toBatchObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/**
 * `POST /v1/batches/{batch_id}/pause`: after 2 s at most no call is started for the batch; calls in flight still end
 * and count. Pausing again changes nothing, and the deadline stands. 409 when the batch is stopped, finalizing or
 * terminal.
 */
export const pauseBatch =
  ({ batches, journal, now }: Pick<ApiDependencies, 'batches' | 'journal' | 'now'>) =>
  async ({ tenant, params }: Call<BatchParams>): Promise<BatchObject> => {
    const { id } = await findBatch(batches, tenant, params.batch_id);
    const outcome = await batches.pause(id, now());
    if (outcome.kind === 'refused') throw new ApiError(409, `Cannot pause a batch with status '${outcome.status}'.`);
    if (outcome.kind === 'done') await journal.notePause(id, outcome.pause, now());
    return toBatchObject(await findBatch(batches, tenant, id));
  };
