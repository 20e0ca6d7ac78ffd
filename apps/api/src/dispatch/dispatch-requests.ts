import type { Batch } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { BatchSnapshot, BatchStore, Cursor, DispatchedRequests } from '@promptmill/queue';
import type { Reach } from '@promptmill/runtime';
import type { AddRequests, IndexedRequest } from './add-requests.ts';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import { readRequests } from './read-requests.ts';

export interface DispatchRequestsOptions {
  readonly batches: BatchStore;
  readonly files: FileStore;
  readonly requests: DispatchedRequests;
  readonly add: AddRequests;
  /**
   * What of one batch may be in Redis at once: requests, and bytes of their input lines. As many results, and bytes of
   * them, may wait for a collector.
   */
  readonly window: { readonly requests: number; readonly bytes: number };
  readonly onDispatched: (requests: number) => void;
  readonly reach: Reach;
}

/** The results of all batches together may take so many windows of bytes in Redis. */
const windowsOfAll = 8;

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

  /** Whether results pile up in Redis: without a collector, or while it cannot write. */
  const isFull = async ({ state }: BatchSnapshot): Promise<boolean> =>
    state.uncollected >= window.requests ||
    (state.uncollected > 0 && state.uncollectedBytes >= window.bytes) ||
    (await batches.resultsBytes()) >= windowsOfAll * window.bytes;

  /** Says whether all of the input is dispatched. Throws DispatchBlockedError. */
  return async (snapshot: BatchSnapshot): Promise<{ done: boolean }> => {
    const { batch, state } = snapshot;
    let cursor: Cursor = state;
    let { outstanding, outstandingBytes } = state;
    if (cursor.dispatched >= batch.total) return { done: true };
    if (await isFull(snapshot)) return { done: false };
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

    let hasEnded = true;
    const from = { offset: cursor.cursorOffset, line: cursor.cursorLine };
    for await (const input of readRequests(files, batch.inputFileId, from)) {
      const isWhole = cursor.dispatched + chunk.length >= batch.total;
      if (isWhole || outstanding >= window.requests || outstandingBytes >= window.bytes) {
        hasEnded = false;
        break;
      }
      chunk.push({ ...input, index: cursor.dispatched + chunk.length });
      outstanding++;
      outstandingBytes += input.bytes;
      const full = cursor.dispatched === 0 ? firstChunkRequests : chunkRequests;
      if (chunk.length < full) continue;
      // Another dispatcher has the batch now; it goes on from its own cursor.
      if (!(await addChunk())) return { done: false };
      if (!(await isRunning(batch))) return { done: false };
    }
    if (!(await addChunk())) return { done: false };
    const done = cursor.dispatched >= batch.total;
    if (hasEnded && !done) {
      const { dispatched } = cursor;
      const message = `The input file ${batch.inputFileId} has ended after ${dispatched} of ${batch.total} requests.`;
      throw new DispatchBlockedError('input_changed', message);
    }
    return { done };
  };
};
