import { isTerminal, scratchFolder, segmentFolder } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { BatchCounts, BatchJob, BatchStore, Deliveries, DueIndex, FileRecords } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import type { RemoveFile } from '../files/remove-file.ts';

export interface SweepBatchOptions {
  readonly batches: BatchStore;
  readonly counts: Pick<BatchCounts, 'countBytes'>;
  readonly records: Pick<FileRecords, 'release'>;
  readonly due: DueIndex;
  readonly deliveries: Pick<Deliveries, 'removeAll'>;
  readonly files: FileStore;
  readonly removeFile: RemoveFile;
  readonly removeRequestJobs: (batchId: string, dispatchedTo: readonly string[]) => Promise<void>;
  /** The queues with a job for each batch. */
  readonly queues: readonly Queue<BatchJob>[];
  readonly now: () => number;
}

/**
 * Removes a batch that has ended, and all that it made. The input file stays. The record is removed last: while it is
 * there, the next sweep finds the rest.
 */
export const createSweepBatch = (options: SweepBatchOptions) => {
  const { batches, counts, records, due, deliveries, files, removeFile, removeRequestJobs, queues, now } = options;
  return async (id: string): Promise<'swept' | 'not ended' | 'missing'> => {
    const batch = await batches.get(id);
    const kept = { kind: 'batch', id } as const;
    if (!batch || !isTerminal(batch.status)) {
      await due.remove(kept);
      return batch ? 'not ended' : 'missing';
    }
    const { positions } = await batches.dispatchState(id);
    await removeRequestJobs(id, Object.keys(positions));
    for (const queue of queues) await queue.remove(id);
    for (const fileId of [batch.outputFileId, batch.errorFileId]) await removeFile(batch.tenant, fileId);
    await files.deletePrefix(segmentFolder(id));
    await files.deletePrefix(scratchFolder(id));
    await records.release(batch.tenant, batch.inputFileId, id);
    await counts.countBytes(batch, -1);
    if (batch.webhook) await deliveries.removeAll(batch.tenant, id);
    await batches.remove(batch, now());
    await due.remove(kept);
    return 'swept';
  };
};
