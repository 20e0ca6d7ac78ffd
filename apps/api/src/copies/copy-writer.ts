import { type CopiedLine, type RequestStatus, segmentEntryHead } from '@promptmill/core';
import { createSegmentWriter, type FileStore } from '@promptmill/files';
import type { BatchCopies, CommittedCopy, DispatchedRequests } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';

export interface CopyWriterOptions {
  readonly files: FileStore;
  readonly copies: Pick<BatchCopies, 'commit'>;
  readonly requests: Pick<DispatchedRequests, 'areSettled'>;
  readonly passFailPoint: PassFailPoint;
}

const newline = Buffer.from('\n');

/** Writes copies of a batch as segments, and commits each. */
export const createCopyWriter =
  ({ files, copies, requests, passFailPoint }: CopyWriterOptions) =>
  (batchId: string) => {
    const writer = createSegmentWriter<CommittedCopy & { readonly entry: Buffer }>({
      files,
      batchId,
      areSettled: (indexes) => requests.areSettled(batchId, indexes),
      commit: (segment, results) => copies.commit(batchId, segment, results),
      onWritten: () => passFailPoint('copies-written'),
      onCommitted: () => passFailPoint('copies-committed'),
    });
    return {
      /** Holds a copy. Resolves with false when the batch wants no more copies. */
      add(index: number, status: RequestStatus, { line, savedNanoUsd }: CopiedLine): Promise<boolean> {
        // Its input line has no place in the window, so it counts no bytes there.
        const head = Buffer.from(segmentEntryHead({ index, status, bytes: 0, nanoUsd: 0 }));
        return writer.add({ index, status, savedNanoUsd, entry: Buffer.concat([head, line, newline]) });
      },

      /** Writes what it holds. Resolves with false when the batch wants no more copies. */
      flush: writer.flush,
    };
  };

export type CopyWriter = ReturnType<typeof createCopyWriter>;
