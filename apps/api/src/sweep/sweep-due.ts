import { answersFolder } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { DueIndex, FileRecords, Kept } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import type { RemoveFile } from '../files/remove-file.ts';
import type { createSweepBatch } from './sweep-batch.ts';
import type { createSweepUpload } from './sweep-upload.ts';

export interface SweepDueOptions {
  readonly due: DueIndex;
  readonly records: Pick<FileRecords, 'get'>;
  readonly files: Pick<FileStore, 'deletePrefix'>;
  readonly removeFile: RemoveFile;
  readonly sweepBatch: ReturnType<typeof createSweepBatch>;
  readonly sweepUpload: ReturnType<typeof createSweepUpload>;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Entries that are read at once. */
const stepSize = 100;
/** Entries that cannot be removed now are tried again after this time, and do not hold up the others. */
const tryAgainMs = 300_000;

/**
 * Removes the files and uploads that have expired, and the batches and answers that were kept for long enough, until none is
 * left or `signal` aborts.
 */
export const createSweepDue = (options: SweepDueOptions) => {
  const { due, records, files, removeFile, sweepBatch, sweepUpload, logger, now } = options;

  const sweepFile = async (kept: Extract<Kept, { kind: 'file' | 'upload' }>): Promise<void> => {
    const { tenant, id } = kept;
    const record = await records.get(tenant, id);
    // An upload that broke off has bytes but no record.
    if (record && record.expiresAt === undefined) return due.remove(kept);
    const expiresAtMs = (record?.expiresAt ?? 0) * 1000;
    if (expiresAtMs > now()) return due.set(kept, expiresAtMs);
    const outcome = await removeFile(tenant, id);
    if (outcome.kind === 'in_use') return due.set(kept, now() + tryAgainMs);
    if (outcome.kind === 'removed') logger.info({ tenant, file: id }, 'file expired');
  };

  const sweepAnswers = async (kept: Extract<Kept, { kind: 'answers' }>): Promise<void> => {
    await files.deletePrefix(answersFolder(kept.id));
    await due.remove(kept);
    logger.info({ hour: kept.id }, 'answers kept for long enough');
  };

  const sweep = async (kept: Kept): Promise<void> => {
    try {
      if (kept.kind === 'file') await sweepFile(kept);
      else if (kept.kind === 'upload') await sweepUpload(kept);
      else if (kept.kind === 'answers') await sweepAnswers(kept);
      else logger.info({ batch: kept.id, outcome: await sweepBatch(kept.id) }, 'batch kept for long enough');
    } catch (error) {
      logger.warn({ err: error, ...kept }, 'not swept; it is tried again');
      await due.set(kept, now() + tryAgainMs);
    }
  };

  return async (signal?: AbortSignal): Promise<void> => {
    for (;;) {
      const step = await due.upTo(now(), stepSize);
      for (const kept of step) {
        if (signal?.aborted) return;
        await sweep(kept);
      }
      if (step.length < stepSize) return;
    }
  };
};
