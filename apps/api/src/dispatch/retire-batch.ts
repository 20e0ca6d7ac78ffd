import { type Batch, endedAt, endOf } from '@promptmill/core';
import type { BatchCounts, DueIndex, FileRecords } from '@promptmill/queue';
import type { Tracing } from '@promptmill/runtime';
import type { RememberAnswers } from '../copies/remember-answers.ts';
import { traceEnd } from './batch-spans.ts';
import type { TellWebhooks } from '../webhooks/tell-webhooks.ts';

export interface RetireBatchOptions {
  readonly records: Pick<FileRecords, 'release'>;
  readonly counts: Pick<BatchCounts, 'countBytes'>;
  readonly due: DueIndex;
  /** Notes where the batch's answers are, while its input is there. */
  readonly remember: RememberAnswers;
  /** How long a batch is kept after its end. */
  readonly keepDays: number;
  readonly tell: TellWebhooks;
  readonly tracing: Tracing;
  readonly now: () => number;
}

/** The last step of a terminal batch: it gives back what it used, notes until when the batch is kept, and tells the webhooks. */
export const createRetireBatch =
  ({ records, counts, due, remember, keepDays, tell, tracing, now }: RetireBatchOptions) =>
  async (batch: Batch): Promise<void> => {
    await remember(batch);
    await records.release(batch.tenant, batch.inputFileId, batch.id);
    await counts.countBytes(batch, -1);
    const endedAtMs = (endedAt(batch) ?? Math.floor(now() / 1000)) * 1000;
    await due.set({ kind: 'batch', id: batch.id }, endedAtMs + keepDays * 86_400_000);
    const event = endOf(batch);
    if (event) await tell(batch, event);
    traceEnd(tracing, batch, Math.min(now(), endedAtMs + 1000));
  };
