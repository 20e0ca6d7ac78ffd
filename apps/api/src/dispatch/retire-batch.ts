import { type Batch, endedAt } from '@promptmill/core';
import type { BatchCounts, DueIndex, FileRecords } from '@promptmill/queue';
import type { RememberAnswers } from '../copies/remember-answers.ts';

export interface RetireBatchOptions {
  readonly records: Pick<FileRecords, 'release'>;
  readonly counts: Pick<BatchCounts, 'countBytes'>;
  readonly due: DueIndex;
  /** Notes where the batch's answers are, while its input is there. */
  readonly remember: RememberAnswers;
  /** How long a batch is kept after its end. */
  readonly keepDays: number;
  readonly now: () => number;
}

/** The last step of a terminal batch: it gives back what it used, and notes until when the batch is kept. */
export const createRetireBatch =
  ({ records, counts, due, remember, keepDays, now }: RetireBatchOptions) =>
  async (batch: Batch): Promise<void> => {
    await remember(batch);
    await records.release(batch.tenant, batch.inputFileId, batch.id);
    await counts.countBytes(batch, -1);
    const endedAtMs = (endedAt(batch) ?? Math.floor(now() / 1000)) * 1000;
    await due.set({ kind: 'batch', id: batch.id }, endedAtMs + keepDays * 86_400_000);
  };
