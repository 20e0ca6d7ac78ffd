import { type Batch, copiedLine, scratchFolder, type SegmentEntry } from '@promptmill/core';
import { type FileStore, mergeSegments, TornSegmentError } from '@promptmill/files';
import type { BatchStore } from '@promptmill/queue';
import { DispatchBlockedError } from '../dispatch/dispatch-blocked-error.ts';
import type { CopyWriter } from './copy-writer.ts';
import { openRepeats, type Repeat } from './find-repeats.ts';
import type { PrepareBatch } from './prepare-batch.ts';

export interface CopyResultsOptions {
  readonly batches: Pick<BatchStore, 'segments'>;
  readonly files: FileStore;
  readonly openWriter: CopyWriter;
  readonly prepare: PrepareBatch;
}

/**
 * Gives each repeat of a batch a copy of its first's result, once all firsts have theirs in segments. Both are read side by
 * side in the order of the firsts. Throws DispatchBlockedError `torn_segment`.
 */
export const createCopyResults = ({ batches, files, openWriter, prepare }: CopyResultsOptions) => {
  const copyAll = async (id: string, repeats: AsyncGenerator<Repeat, void, undefined>): Promise<void> => {
    const writer = openWriter(id);
    const segments = await batches.segments(id);
    try {
      let repeat = await repeats.next();
      /** Whether the batch wants further copies. */
      const copyTo = async ({ index: first, status, nanoUsd, line }: SegmentEntry): Promise<boolean> => {
        for (; !repeat.done && repeat.value.first <= first; repeat = await repeats.next()) {
          if (repeat.value.first < first) continue;
          const { index, customId } = repeat.value;
          const copy = copiedLine({ batchId: id, index, customId }, line, nanoUsd);
          if (!(await writer.add(index, status, copy))) return false;
        }
        return true;
      };
      for await (const entries of mergeSegments(files, id, segments, `${scratchFolder(id)}copies/`))
        for (const entry of entries) if (!(await copyTo(entry))) return;
      await writer.flush();
    } finally {
      await repeats.return();
    }
  };

  return async (batch: Batch): Promise<void> => {
    const repeats = await openRepeats(files, batch.id);
    // Redis has lost results of a batch that was about to end, and the list was removed.
    if (!repeats) return prepare(batch);
    try {
      await copyAll(batch.id, repeats);
    } catch (error) {
      if (error instanceof TornSegmentError) throw new DispatchBlockedError('torn_segment', error.message);
      throw error;
    }
  };
};

export type CopyResults = ReturnType<typeof createCopyResults>;
