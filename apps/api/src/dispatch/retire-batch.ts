import { type Batch, endedAt } from '@promptmill/core';
import type { BatchCounts, DueIndex, FileRecords } from '@promptmill/queue';

export interface RetireBatchOptions {
  readonly records: Pick<FileRecords, 'release'>;
  readonly counts: Pick<BatchCounts, 'countBytes'>;
  readonly due: DueIndex;
  /** How long a batch is kept after its end. */
  readonly keepDays: number;
  readonly now: () => number;
}

/** The last step of a terminal batch: it gives back what it used, and notes until when the batch is kept. */
export const createRetireBatch =
  ({ records, counts, due, keepDays, now }: RetireBatchOptions) =>
  async (batch: Batch): Promise<void> => {
    await records.release(batch.tenant, batch.inputFileId, batch.id);
    await counts.countBytes(batch, -1);
    const endedAtMs = (endedAt(batch) ?? Math.floor(now() / 1000)) * 1000;
    await due.set({ kind: 'batch', id: batch.id }, endedAtMs + keepDays * 86_400_000);
  };
