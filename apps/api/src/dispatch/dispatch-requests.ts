import { setTimeout as sleep } from 'node:timers/promises';
import type { Batch } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { BatchCounts, BatchSnapshot, BatchStore, Cursor, DispatchedRequests } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { AddRequests } from './add-requests.ts';
import { createSeenBatches } from '../seen-batches.ts';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import { lookAtSkipped, type SkipReason } from './look-at-skipped.ts';
import { type InputRequest, readRequests } from './read-requests.ts';

/** Requests of a batch that were added to their lanes together. */
export interface DispatchedChunk {
  readonly batch: Batch;
  /** The index of the first. */
  readonly first: number;
  readonly requests: number;
  /** When adding them began, in Unix milliseconds. */
  readonly startedAtMs: number;
}

export interface DispatchRequestsOptions {
  readonly batches: Pick<BatchStore, 'advanceCursor'>;
  readonly counts: Pick<BatchCounts, 'countBytes' | 'resultsBytes'>;
  readonly files: FileStore;
  readonly requests: DispatchedRequests;
  readonly add: AddRequests;
  /**
   * How many requests of one batch may be in Redis at once, and how many bytes of their input lines. The batches that a
   * tenant has in a lane share these numbers. They also bound each batch's results that wait for a collector.
   */
  readonly window: { readonly requests: number; readonly bytes: number };
  readonly onDispatched: (chunk: DispatchedChunk) => void;
  readonly passFailPoint: PassFailPoint;
}

/** The results of all batches together may take this many byte windows in Redis. */
const resultWindowsOfAll = 8;
/** The input lines of all batches of a tenant, and of all tenants, may take this many byte windows in Redis. */
const windowsOfTenant = 4;
const windowsOfAll = 16;

/** A larger chunk would hold up the event loop and Redis; smaller ones cost more round trips. */
const chunkRequests = 250;
/** The first chunk of a batch is small, so that workers start while the rest is added. */
const firstChunkRequests = 50;
/** So long the workers have Redis and the processors to themselves, to begin with a batch's first chunk. */
const headStartMs = 30;
const maxChunkBytes = 1024 * 1024;
/** A window is refilled when this part of it is free, not for each request. */
const refillShare = 1 / 8;
/** A small part of a window is refilled when it has room for a chunk, or half of it is free: a chunk must be worth its cost. */
const refillShareOf = (requests: number): number => Math.max(refillShare, Math.min(1 / 2, chunkRequests / requests));
/** A batch ahead of others of its tenant has at most this part of a window in Redis, so that the next has not long to wait. */
const aheadShare = 1 / 8;
/** The batches of a tenant share a window, but each may have this much. */
const smallestPart = { requests: 50, bytes: 1024 * 1024 };

/** The next requests of a batch for its lanes, and those between them that no lane gets. */
interface Chunk {
  readonly wanted: InputRequest[];
  readonly skipped: { repeats: number; handedOff: number; copies: number; bytes: number };
  /** The last request of all. */
  last: InputRequest | undefined;
  /** Of the lines of all. */
  bytes: number;
}

const newChunk = (): Chunk => ({
  wanted: [],
  skipped: { repeats: 0, handedOff: 0, copies: 0, bytes: 0 },
  last: undefined,
  bytes: 0,
});

const addTo = (chunk: Chunk, request: InputRequest, skip: SkipReason | undefined): void => {
  chunk.last = request;
  chunk.bytes += request.bytes;
  if (!skip) chunk.wanted.push(request);
  if (skip === 'repeat') chunk.skipped.repeats++;
  if (skip === 'handed off') chunk.skipped.handedOff++;
  if (skip === 'copy') chunk.skipped.copies++;
  if (skip && skip !== 'settled') chunk.skipped.bytes += request.bytes;
};

/**
 * Adds a batch's next requests to their lanes until its window is full or its input is read. The cursor moves after each
 * chunk; a crash in between adds that chunk again, under the same job ids.
 */
export const createDispatchRequests = (options: DispatchRequestsOptions) => {
  const { batches, counts, files, requests, add, window, onDispatched, passFailPoint } = options;

  /** Whether results pile up in Redis because no collector runs or none can write. */
  const isFull = async ({ state }: BatchSnapshot): Promise<boolean> =>
    state.uncollected >= window.requests ||
    (state.uncollected > 0 && state.uncollectedBytes >= window.bytes) ||
    (await counts.resultsBytes()) >= resultWindowsOfAll * window.bytes;

  /** How many batches share a lane with a tenant's last chunk. */
  const sharers = createSeenBatches<number>();

  /** Batches whose last chunk is ahead of others of their tenant. */
  const ahead = createSeenBatches<boolean>();

  /** The part of the window that a batch may fill. */
  const partOf = ({ id, tenant }: Batch): { requests: number; bytes: number; refill: number } => {
    const count = sharers.get(tenant) ?? 1;
    const part = (most: number, least: number, share: number): number =>
      Math.max(Math.min(most, least), Math.floor(most * share));
    const share = 1 / count;
    const requests = part(window.requests, smallestPart.requests, ahead.get(id) ? Math.min(share, aheadShare) : share);
    const bytes = part(window.bytes, smallestPart.bytes, share);
    return { requests, bytes, refill: count > 1 ? refillShareOf(requests) : refillShare };
  };

  const hasRoom = ({ batch, state }: BatchSnapshot): boolean => {
    const { requests: most, bytes: mostBytes, refill } = partOf(batch);
    const wanted = Math.min(most * refill, batch.total - state.dispatched);
    return state.outstanding + wanted <= most && state.outstandingBytes <= mostBytes * (1 - refill);
  };

  const most = { ofTenant: windowsOfTenant * window.bytes, ofAll: windowsOfAll * window.bytes };

  /** Counts a batch's bytes again when much of what counts has its results by now. */
  const countAgain = async ({ batch, state }: BatchSnapshot): Promise<void> => {
    const { countedBytes, outstandingBytes } = state;
    if (countedBytes - outstandingBytes >= window.bytes * refillShare) await counts.countBytes(batch, 0);
  };

  /** @param settledBeyond how many requests after the cursor have a result, copies among them */
  const dispatch = async (
    snapshot: BatchSnapshot,
    mostBytes: number,
    settledBeyond: number,
  ): Promise<{ done: boolean }> => {
    const { batch, state } = snapshot;
    let cursor: Cursor = state;

    /** Adds a chunk and moves the cursor. Resolves with whether the batch wants more requests dispatched. */
    const addChunk = async ({ wanted, skipped, last }: Chunk): Promise<boolean> => {
      if (!last) return true;
      const startedAtMs = Date.now();
      const { positions, batchesInLane, isAhead } = await add(batch, wanted, cursor.positions);
      if (batchesInLane > 0) sharers.note(batch.tenant, batchesInLane);
      if (isAhead) ahead.note(batch.id, true);
      else if (wanted.length > 0) ahead.forget(batch.id);
      passFailPoint('jobs-added');
      const next = {
        dispatched: last.index + 1,
        cursorOffset: last.nextOffset,
        cursorLine: last.nextLine,
        positions,
      };
      const outcome = await batches.advanceCursor(batch.id, cursor.dispatched, next, skipped);
      // Another process dispatches this batch now, from its own cursor.
      if (outcome === 'overtaken') return false;
      passFailPoint('cursor-moved');
      onDispatched({ batch, first: cursor.dispatched, requests: wanted.length, startedAtMs });
      const isFirst = cursor.dispatched === 0;
      cursor = next;
      if (isFirst && next.dispatched < batch.total) await sleep(headStartMs);
      return outcome === 'moved';
    };

    let adding = Promise.resolve(true);
    let chunk = newChunk();
    let chunkSize = state.dispatched === 0 ? firstChunkRequests : chunkRequests;
    let outstanding = state.outstanding + Math.max(0, settledBeyond - state.copiedAhead);
    let { outstandingBytes } = state;
    let hasEnded = true;
    const whySkipped = lookAtSkipped(requests, snapshot, settledBeyond);
    const from = { index: state.dispatched, offset: state.cursorOffset, line: state.cursorLine };
    try {
      for await (const request of readRequests(files, batch.inputFileId, from)) {
        const part = partOf(batch);
        const isFull = outstanding >= part.requests || outstandingBytes >= Math.min(part.bytes, mostBytes);
        const skip = await whySkipped(request.index);
        if (request.index >= batch.total || (isFull && !skip)) {
          hasEnded = false;
          break;
        }
        addTo(chunk, request, skip);
        if (!skip) {
          outstanding++;
          outstandingBytes += request.bytes;
        }
        if (chunk.wanted.length < chunkSize && chunk.bytes < maxChunkBytes) continue;
        if (!(await adding)) return { done: false };
        // The next chunk is read while this one is added.
        adding = addChunk(chunk);
        // It is awaited later; a failure until then must not count as unhandled.
        adding.catch(() => {});
        [chunk, chunkSize] = [newChunk(), chunkRequests];
      }
    } finally {
      await adding.catch(() => {});
    }
    const wantsMore = (await adding) && (await addChunk(chunk));
    const { dispatched } = cursor;
    if (wantsMore && hasEnded && dispatched < batch.total) {
      const message = `The input file ${batch.inputFileId} has ended after ${dispatched} of ${batch.total} requests.`;
      throw new DispatchBlockedError('input_changed', message);
    }
    return { done: dispatched >= batch.total };
  };

  /** `done`: all of the input is dispatched. Throws DispatchBlockedError. */
  return async (snapshot: BatchSnapshot): Promise<{ done: boolean }> => {
    const { batch, state } = snapshot;
    const isDone = state.dispatched >= batch.total;
    if (isDone || !hasRoom(snapshot)) {
      await countAgain(snapshot);
      return { done: isDone };
    }
    const [full, settledBeyond] = await Promise.all([
      isFull(snapshot),
      requests.settledBeyond(batch.id, state.dispatched),
    ]);
    if (full) return { done: false };
    const mostBytes = await counts.countBytes(batch, window.bytes, most);
    if (mostBytes <= state.outstandingBytes) return { done: false };
    try {
      return await dispatch(snapshot, mostBytes, settledBeyond);
    } finally {
      // What was reserved and not used is free again.
      await counts.countBytes(batch, 0);
    }
  };
};
