import { ApiError, type Batch, isTerminal } from '@promptmill/core';
import { wakeBatchJob } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';

export type CancelOutcome =
  | { readonly kind: 'cancelled'; readonly batch: Batch }
  /** The batch can no longer be cancelled. */
  | { readonly kind: 'refused'; readonly batch: Batch }
  | { readonly kind: 'missing' };

/** Starts no further call for a batch; calls in flight may still end. Cancelling again changes nothing. */
export const createRequestCancel =
  ({
    redis,
    batches,
    batchesQueue,
    journal,
    now,
  }: Pick<ApiDependencies, 'redis' | 'batches' | 'batchesQueue' | 'journal' | 'now'>) =>
  async (id: string): Promise<CancelOutcome> => {
    await batches.transition(id, 'cancelling', now(), { stopping: 'cancelled' });
    await withinQueueTimeout(redis, wakeBatchJob(batchesQueue, id));
    const batch = await batches.get(id);
    if (!batch) return { kind: 'missing' };
    if (batch.cancellingAt === undefined) return { kind: 'refused', batch };
    if (!isTerminal(batch.status)) await journal.noteCancel(id, now());
    return { kind: 'cancelled', batch };
  };

/** The cancelled batch. 409 when it could not be cancelled, as OpenAI answers; 404 when it is gone. */
export const assertCancelled = (id: string, outcome: CancelOutcome): Batch => {
  if (outcome.kind === 'missing') throw new ApiError(404, `No batch found with id '${id}'.`);
  if (outcome.kind === 'cancelled') return outcome.batch;
  throw new ApiError(409, `Cannot cancel a batch with status '${outcome.batch.status}'.`);
};
