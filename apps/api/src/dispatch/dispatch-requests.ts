import { type Batch, deadlineNearMs, type LaneTable, type RequestJob, type RetryPolicy } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import { type BatchStore, type Cursor, type LaneTurns, requestJobOptions } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { type InputRequest, readRequests } from './read-requests.ts';

export interface DispatchRequestsOptions {
  readonly batches: BatchStore;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: LaneTurns;
  readonly retry: RetryPolicy;
  /** What of one batch may be in Redis at once: requests, and bytes of their input lines. */
  readonly window: { readonly requests: number; readonly bytes: number };
  readonly onDispatched: (requests: number) => void;
}

/** More would hold up the event loop and Redis for longer than a ping may take; fewer cost more round trips. */
const chunkRequests = 500;
/** The first chunk of a batch is small: workers begin while the rest is added. */
const firstChunkRequests = 50;

type LaneJobs = Map<string, RequestJob[]>;

/**
 * Adds a batch's next requests to their lanes until its window is full or its input is read. The cursor moves after each
 * chunk; a crash in between adds that chunk again, under the same job ids.
 */
export const createDispatchRequests = (options: DispatchRequestsOptions) => {
  const { batches, files, lanes, queueOf, turns, retry, window, onDispatched } = options;

  const addJobs = async (byLane: LaneJobs, before: Cursor['positions']): Promise<Cursor['positions']> => {
    const ends = await Promise.all(
      [...byLane].map(async ([lane, jobs]) => {
        const queue = queueOf(lane);
        const start = await turns.next(queue, before[lane] ?? 0);
        await queue.addBulk(
          jobs.map((job, i) => ({ name: 'request', data: job, opts: requestJobOptions(job, start + i, retry) })),
        );
        const end = start + jobs.length;
        await turns.noteEnd(lane, end);
        return [lane, end] as const;
      }),
    );
    return { ...before, ...Object.fromEntries(ends) };
  };

  const toJobs = (batch: Batch, chunk: readonly InputRequest[], firstIndex: number): LaneJobs => {
    const byLane: LaneJobs = new Map();
    for (const [i, { request, bytes }] of chunk.entries()) {
      const { customId, url, body } = request;
      const route = lanes.route(body.model);
      if (!route) throw new Error(`no lane takes the model ${body.model} any more`);
      const jobs = byLane.get(route.lane.name) ?? [];
      byLane.set(route.lane.name, jobs);
      jobs.push({
        batchId: batch.id,
        index: firstIndex + i,
        customId,
        url,
        body: { ...body, model: route.model },
        bytes,
        ...(route.lane.fallback.length > 0
          ? { fallback: { models: route.lane.fallback, deadlineNearMs: deadlineNearMs(batch) } }
          : {}),
      });
    }
    return byLane;
  };

  /** Says whether all of the input is dispatched. */
  return async (batch: Batch): Promise<{ done: boolean }> => {
    const state = await batches.dispatchState(batch.id);
    let cursor: Cursor = state;
    let { outstanding, outstandingBytes } = state;
    if (cursor.dispatched >= batch.total) return { done: true };

    let chunk: InputRequest[] = [];
    const addChunk = async (): Promise<boolean> => {
      const last = chunk.at(-1);
      if (!last) return true;
      const positions = await addJobs(toJobs(batch, chunk, cursor.dispatched), cursor.positions);
      const next: Cursor = {
        dispatched: cursor.dispatched + chunk.length,
        cursorOffset: last.nextOffset,
        cursorLine: last.nextLine,
        positions,
      };
      if (!(await batches.advanceCursor(batch.id, cursor.dispatched, next))) return false;
      onDispatched(chunk.length);
      cursor = next;
      chunk = [];
      return true;
    };

    const from = { offset: cursor.cursorOffset, line: cursor.cursorLine };
    for await (const input of readRequests(files, batch.inputFileId, from)) {
      if (outstanding >= window.requests || outstandingBytes >= window.bytes) break;
      chunk.push(input);
      outstanding++;
      outstandingBytes += input.bytes;
      // Another dispatcher has the batch now; it goes on from its own cursor.
      const full = cursor.dispatched === 0 ? firstChunkRequests : chunkRequests;
      if (chunk.length >= full && !(await addChunk())) return { done: false };
    }
    await addChunk();
    return { done: cursor.dispatched >= batch.total };
  };
};
