import type { FileStore } from '@promptmill/files';
import type { BatchSnapshot, BatchStore, DispatchedRequests } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import type { AddRequests } from '../dispatch/add-requests.ts';
import type { FindLostRequests } from './find-lost-requests.ts';
import { DispatchBlockedError } from '../dispatch/dispatch-blocked-error.ts';
import { type InputRequest, readRequests } from '../dispatch/read-requests.ts';
import { createSeenBatches } from '../seen-batches.ts';
import type { RecountResults } from './recount-results.ts';
import type { RestoreResults } from './restore-results.ts';

export interface ReconcileBatchOptions {
  readonly batches: BatchStore;
  readonly requests: DispatchedRequests;
  readonly files: FileStore;
  readonly restore: RestoreResults;
  readonly recount: RecountResults;
  readonly findLost: FindLostRequests;
  readonly add: AddRequests;
  /** How often the connection to Redis was made. Each time Redis may have lost its latest writes. */
  readonly connections: () => number;
  readonly logger: Logger;
  readonly now: () => number;
}

/** A batch that gets no result for this long is looked at. After each look in vain the wait doubles. */
const firstLookMs = 5000;
const longestLookMs = 60_000;
/** Requests looked at in one step. */
const maxRequests = 20_000;
const addAtOnce = 500;

interface Seen {
  readonly connection: number;
  /** The numbers of its results and of those in segments. */
  readonly progress: string;
  readonly lookAtMs: number;
  readonly waitMs: number;
}

/**
 * Restores what Redis has lost of a batch. Results that are in the store but not in Redis are recorded again; requests
 * without a result and a job get a new job. It looks only when there is a reason: after a connection to Redis was made,
 * when a paused batch goes on, and when no result has been recorded or collected for a while. In a sealed batch only
 * the counts are corrected. Resolves with whether it found anything.
 */
export const createReconcileBatch = (options: ReconcileBatchOptions) => {
  const { batches, requests, files, restore, recount, findLost, add, connections, logger, now } = options;
  const seen = createSeenBatches<Seen>();

  const putBack = async ({ batch, state }: BatchSnapshot, lost: ReadonlySet<number>): Promise<void> => {
    const last = Math.max(...lost);
    const place = await requests.placeBefore(batch.id, Math.min(...lost));
    let chunk: InputRequest[] = [];
    for await (const request of readRequests(files, batch.inputFileId, place)) {
      if (lost.has(request.index)) chunk.push(request);
      if (chunk.length === addAtOnce || request.index === last) {
        await add(batch, chunk, state.positions);
        chunk = [];
      }
      if (request.index === last) return;
    }
    throw new DispatchBlockedError(
      'input_changed',
      `The input file ${batch.inputFileId} has fewer requests than before.`,
    );
  };

  const look = async (snapshot: BatchSnapshot, alsoRestore: boolean): Promise<number> => {
    const { batch, state } = snapshot;
    const { id } = batch;
    const recounted = await recount(snapshot);
    if (state.sealed) return recounted ? 1 : 0;
    const restored = alsoRestore ? await restore(batch) : 0;
    const unsettled = await requests.unsettled(id, state.dispatched, maxRequests);
    const lost = await findLost(id, unsettled, Object.keys(state.positions));
    if (lost.length > 0) await putBack(snapshot, new Set(lost));
    const found = restored + lost.length;
    if (found > 0) logger.warn({ batch: id, restored, putBack: lost.length }, 'reconciled');
    return found + (recounted ? 1 : 0);
  };

  return async (snapshot: BatchSnapshot): Promise<boolean> => {
    const { batch, state } = snapshot;
    const { id } = batch;
    const connection = connections();
    const progress = `${batch.completed + batch.failed} ${state.collected}`;
    const before = seen.get(id);
    const isNew = before?.connection !== connection;
    const hasNothingDue = state.outstanding === 0 && state.uncollected === 0;
    const isIdle = hasNothingDue || progress !== before?.progress;
    if (!isNew && !state.parked && (isIdle || now() < before.lookAtMs)) {
      if (isIdle) seen.note(id, { connection, progress, lookAtMs: now() + firstLookMs, waitMs: firstLookMs });
      return false;
    }
    // Before the look, so that the next look finds a request that is parked during this one.
    if (state.parked) await batches.unpark(id);
    const found = await look(snapshot, isNew || !state.parked);
    const waitMs = isNew || found > 0 ? firstLookMs : Math.min(longestLookMs, before.waitMs * 2);
    seen.note(id, { connection, progress, lookAtMs: now() + waitMs, waitMs });
    return found > 0;
  };
};
