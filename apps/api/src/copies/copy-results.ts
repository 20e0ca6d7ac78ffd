import { copiedLine, scratchFolder, type SegmentEntry } from '@promptmill/core';
import { type FileStore, mergeSegments, TornSegmentError } from '@promptmill/files';
import type { BatchSnapshot, BatchStore } from '@promptmill/queue';
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
 * side in the order of the firsts. Throws DispatchBlockedError `torn_segment` or `results_missing`.
 */
export const createCopyResults = ({ batches, files, openWriter, prepare }: CopyResultsOptions) => {
  /** Resolves with how many repeats have a first without a result. */
  const copyAll = async (id: string, repeats: AsyncGenerator<Repeat, void, undefined>): Promise<number> => {
    const writer = openWriter(id);
    let missing = 0;
    try {
      let repeat = await repeats.next();
      /** Makes the copies of a result. Resolves with whether the batch wants more. */
      const copy = async ({ index: first, status, nanoUsd, line }: SegmentEntry): Promise<boolean> => {
        for (; !repeat.done && repeat.value.first <= first; repeat = await repeats.next()) {
          const { index, customId } = repeat.value;
          if (repeat.value.first < first) missing++;
          else if (!(await writer.add(index, status, copiedLine({ batchId: id, index, customId }, line, nanoUsd))))
            return false;
        }
        return true;
      };
      const merged = mergeSegments(files, id, await batches.segments(id), `${scratchFolder(id)}copies/`);
      for await (const entries of merged) for (const entry of entries) if (!(await copy(entry))) return 0;
      for (; !repeat.done; repeat = await repeats.next()) missing++;
      return (await writer.flush()) ? missing : 0;
    } finally {
      await repeats.return();
    }
  };

  return async (snapshot: BatchSnapshot): Promise<void> => {
    const { batch } = snapshot;
    const { repeatList: list } = snapshot.state;
    const repeats = list === undefined ? undefined : await openRepeats(files, batch.id, list);
    // Redis has lost results of a batch that was about to end, and the list was removed.
    if (!repeats) return prepare(snapshot);
    try {
      const missing = await copyAll(batch.id, repeats);
      if (missing === 0) return;
      const message = `The results that ${missing} requests get copies of are not in the file store.`;
      throw new DispatchBlockedError('results_missing', message);
    } catch (error) {
      if (error instanceof TornSegmentError) throw new DispatchBlockedError('torn_segment', error.message);
      throw error;
    }
  };
};

export type CopyResults = ReturnType<typeof createCopyResults>;
