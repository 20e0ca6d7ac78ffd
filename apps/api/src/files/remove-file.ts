import { fileKey, isTerminal } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  type BatchStore,
  type DueIndex,
  type FileRecords,
  type FileUse,
  unfinishedCreateSeconds,
} from '@promptmill/queue';

export interface RemoveFileOptions {
  readonly batches: Pick<BatchStore, 'get'>;
  readonly records: Pick<FileRecords, 'delete'>;
  readonly due: DueIndex;
  readonly files: FileStore;
  readonly now: () => number;
}

type RemoveOutcome =
  | { readonly kind: 'removed' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'in_use'; readonly batchId: string };

export type RemoveFile = (tenant: string, id: string) => Promise<RemoveOutcome>;

/**
 * Removes a file's record, list entry and bytes, unless a batch that has not ended needs it. The record is removed
 * first, so that every listed file has its bytes. Bytes that a crash leaves behind are removed when the file would have
 * expired.
 */
export const createRemoveFile = ({ batches, records, due, files, now }: RemoveFileOptions): RemoveFile => {
  /**
   * Whether a noted batch needs its input no more. A batch releases its input when it ends, unless its process died
   * before, or its creation never finished.
   */
  const isOver = async ({ batchId, since }: FileUse): Promise<boolean> => {
    const batch = await batches.get(batchId);
    return batch ? isTerminal(batch.status) : since < now() / 1000 - unfinishedCreateSeconds;
  };

  const removeRecord = async (tenant: string, id: string): Promise<RemoveOutcome> => {
    let over: readonly FileUse[] = [];
    for (;;) {
      const outcome = await records.delete(tenant, id, now(), over);
      if (outcome.kind === 'missing') return outcome;
      if (outcome.kind === 'deleted') return { kind: 'removed' };
      for (const use of outcome.uses) if (!(await isOver(use))) return { kind: 'in_use', batchId: use.batchId };
      over = outcome.uses;
    }
  };

  return async (tenant, id) => {
    const outcome = await removeRecord(tenant, id);
    if (outcome.kind === 'in_use') return outcome;
    await files.delete(fileKey(id));
    await due.remove({ kind: 'file', tenant, id });
    return outcome;
  };
};
