import { type CopiedLine, type RequestStatus, segmentEntryHead } from '@promptmill/core';
import { type FileStore, writeSegment } from '@promptmill/files';
import type { BatchCopies, CommittedCopy, DispatchedRequests } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';

export interface CopyWriterOptions {
  readonly files: FileStore;
  readonly copies: Pick<BatchCopies, 'commit'>;
  readonly requests: Pick<DispatchedRequests, 'areSettled'>;
  readonly passFailPoint: PassFailPoint;
}

/** A segment has this many copies, or this many bytes of them. */
const maxCopies = 4000;
const maxBytes = 4 * 1024 * 1024;

const newline = Buffer.from('\n');

/**
 * Writes copies of a batch as segments, and commits each. A crash in between leaves a segment that Redis does not list; the
 * copies are made again, and the merge keeps one of each.
 */
export const createCopyWriter =
  ({ files, copies, requests, passFailPoint }: CopyWriterOptions) =>
  (batchId: string) => {
    let held: (CommittedCopy & { readonly entry: Buffer })[] = [];
    let bytes = 0;

    const flush = async (): Promise<boolean> => {
      const settled = await requests.areSettled(
        batchId,
        held.map(({ index }) => index),
      );
      const wanted = held.filter((_, i) => !settled[i]);
      [held, bytes] = [[], 0];
      if (wanted.length === 0) return true;
      const name = await writeSegment(files, batchId, wanted);
      passFailPoint('copies-written');
      const counted = await copies.commit(batchId, name, wanted);
      passFailPoint('copies-committed');
      return counted !== undefined;
    };

    return {
      /** Holds a copy. Resolves with false when the batch wants no more copies. */
      async add(index: number, status: RequestStatus, { line, savedNanoUsd }: CopiedLine): Promise<boolean> {
        // Its input line has no place in the window, so it counts no bytes there.
        const head = Buffer.from(segmentEntryHead({ index, status, bytes: 0, nanoUsd: 0 }));
        held.push({ index, status, savedNanoUsd, entry: Buffer.concat([head, line, newline]) });
        bytes += line.length;
        return held.length < maxCopies && bytes < maxBytes ? true : flush();
      },

      /** Writes what it holds. Resolves with false when the batch wants no more copies. */
      flush,
    };
  };

export type CopyWriter = ReturnType<typeof createCopyWriter>;
