import { ApiError, type Batch, isBatchId } from '@promptmill/core';
import type { BatchStore } from '@promptmill/queue';

/** The tenant's batch; 404 for any other id, whatever is wrong with it. */
export const findBatch = async (batches: BatchStore, tenant: string, id: string): Promise<Batch> => {
  const batch = isBatchId(id) ? await batches.get(id) : undefined;
  if (batch?.tenant !== tenant) throw new ApiError(404, `No batch found with id '${id}'.`);
  return batch;
};
