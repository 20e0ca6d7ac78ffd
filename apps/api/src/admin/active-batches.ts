import { type Batch, isTerminal } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';

/** Records that are read at once. */
const stepSize = 100;

/**
 * All tenants' batches that have not ended. They are found by their jobs: the lists of the tenants also have all ended
 * batches that are kept.
 */
export async function* activeBatches({
  batches,
  batchesQueue,
}: Pick<ApiDependencies, 'batches' | 'batchesQueue'>): AsyncGenerator<Batch> {
  const ids = await batchesQueue.getRanges(['active', 'waiting', 'prioritized', 'delayed'], 0, -1);
  for (let first = 0; first < ids.length; first += stepSize) {
    const read = await Promise.all(ids.slice(first, first + stepSize).map((id) => batches.get(id)));
    for (const batch of read) if (batch && !isTerminal(batch.status)) yield batch;
  }
}
