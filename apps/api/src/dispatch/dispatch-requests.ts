import type { Batch } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { BatchSnapshot, BatchStore, Cursor, DispatchedRequests } from '@promptmill/queue';
import type { Reach } from '@promptmill/runtime';
import type { AddRequests, IndexedRequest } from './add-requests.ts';
import { readRequests } from './read-requests.ts';

export interface DispatchRequestsOptions {
  readonly batches: BatchStore;
  readonly files: FileStore;
  readonly requests: DispatchedRequests;
  readonly add: AddRequests;
  /**
   * What of one batch may be in Redis at once: requests, and bytes of their input lines. As many results may wait for a
   * collector.
   */
  readonly window: { readonly requests: number; readonly bytes: number };
  readonly onDispatched: (requests: number) => void;
  readonly reach: Reach;
}

/** More would hold up the event loop and Redis for longer than a ping may take; fewer cost more round trips. */
const chunkRequests = 500;
/** The first chunk of a batch is small: workers begin while the rest is added. */
const firstChunkRequests = 50;

/**
 * Adds a batch's next requests to their lanes until its window is full or its input is read. The cursor moves after each
 * chunk; a crash in between adds that chunk again, under the same job ids.
 */
export const createDispatchRequests = (options: DispatchRequestsOptions) => {
  const { batches, files, requests, add, window, onDispatched, reach } = options;

  /** Those of a chunk that have no result yet: behind a cursor that Redis lost, some have. */
  const withoutResult = async (batch: Batch, chunk: readonly IndexedRequest[]): Promise<readonly IndexedRequest[]> => {
    const settled = await requests.areSettled(
      batch.id,
      chunk.map(({ index }) => index),
    );
    return chunk.filter((_, i) => !settled[i]);
  };

  /** Cancelled or paused while its requests are added, it needs no more of them. */
  const isRunning = async ({ id }: Batch): Promise<boolean> => {
    const batch = await batches.get(id);
    return batch?.status === 'in_progress' && batch.pausedAt === undefined;
  };

  /** Says whether all of the input is dispatched. */
  return async ({ batch, state }: BatchSnapshot): Promise<{ done: boolean }> => {
    let cursor: Cursor = state;
    let { outstanding, outstandingBytes } = state;
    if (cursor.dispatched >= batch.total) return { done: true };
    // Without a collector, or while it cannot write, results would pile up in Redis.
    if (state.uncollected >= window.requests) return { done: false };
    if ((await batches.resultsBytes(batch.id)) >= window.bytes) return { done: false };
    const settledBeyond = await requests.settledBeyond(batch.id, cursor.dispatched);
    outstanding += settledBeyond;

    let chunk: IndexedRequest[] = [];
    const addChunk = async (): Promise<boolean> => {
      const last = chunk.at(-1);
      if (!last) return true;
      const wanted = settledBeyond > 0 ? await withoutResult(batch, chunk) : chunk;
      const positions = await add(batch, wanted, cursor.positions);
      reach('jobs-added');
      const next: Cursor = {
        dispatched: cursor.dispatched + chunk.length,
        cursorOffset: last.nextOffset,
        cursorLine: last.nextLine,
        positions,
      };
      if (!(await batches.advanceCursor(batch.id, cursor.dispatched, next))) return false;
      reach('cursor-moved');
      onDispatched(chunk.length);
      cursor = next;
      chunk = [];
      return true;
    };

    const from = { offset: cursor.cursorOffset, line: cursor.cursorLine };
    for await (const input of readRequests(files, batch.inputFileId, from)) {
      if (outstanding >= window.requests || outstandingBytes >= window.bytes) break;
      chunk.push({ ...input, index: cursor.dispatched + chunk.length });
      outstanding++;
      outstandingBytes += input.bytes;
      const full = cursor.dispatched === 0 ? firstChunkRequests : chunkRequests;
      if (chunk.length < full) continue;
      // Another dispatcher has the batch now; it goes on from its own cursor.
      if (!(await addChunk())) return { done: false };
      if (!(await isRunning(batch))) return { done: false };
    }
    await addChunk();
    return { done: cursor.dispatched >= batch.total };
  };
};
