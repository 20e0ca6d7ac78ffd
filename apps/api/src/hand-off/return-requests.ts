import { isOfShard, type LaneTable } from '@promptmill/core';
import type { FileStore, InputRequest } from '@promptmill/files';
import {
  type BatchSnapshot,
  type DispatchedRequests,
  lookAtStates,
  type ReadShard,
  type Shards,
} from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { AddRequests } from '../dispatch/add-requests.ts';
import { DispatchBlockedError } from '../dispatch/dispatch-blocked-error.ts';
import { readRequests } from '../dispatch/read-requests.ts';

export interface ReturnRequestsOptions {
  readonly shards: Pick<Shards, 'list' | 'returned'>;
  readonly requests: Pick<DispatchedRequests, 'states'>;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly add: AddRequests;
  readonly passFailPoint: PassFailPoint;
}

/** So many requests of a batch are in Redis at once when its shards give requests back, and so many bytes of their lines. */
const room = { requests: 1000, bytes: 16 * 1024 * 1024 };
const chunkRequests = 250;
const maxChunkBytes = 1024 * 1024;
/** Lines that are looked at in one step: a shard of another model has most of its range for itself. */
const mostLooked = 20_000;

interface Chunk {
  readonly requests: readonly InputRequest[];
  /** Those of them without a result, which get jobs. */
  readonly unsettled: readonly InputRequest[];
  /** Where the next look begins. Undefined at the shard's end. */
  readonly next: { readonly index: number; readonly offset: number; readonly line: number } | undefined;
}

/**
 * Gives jobs to requests of ended shards that have no result: the next chunk of them, when the lanes have room. A crash in
 * between adds the chunk again, under the same job ids. Throws DispatchBlockedError.
 */
export const createReturnRequests = (options: ReturnRequestsOptions) => {
  const { shards, requests, files, lanes, add, passFailPoint } = options;

  const readChunk = async (id: string, inputFileId: string, shard: ReadShard): Promise<Chunk> => {
    const { first, last, offset, line } = shard.plan;
    const from = shard.state.next ?? { index: first, offset, line };
    const stateOf = lookAtStates(requests, id);
    const found: InputRequest[] = [];
    const unsettled: InputRequest[] = [];
    let bytes = 0;
    for await (const request of readRequests(files, inputFileId, from)) {
      const { index, nextOffset, nextLine } = request;
      const { isHandedOff, isSettled } = await stateOf(index);
      if (isHandedOff && isOfShard(shard.plan, lanes.route(request.request.body.model))) {
        found.push(request);
        bytes += request.bytes;
        if (!isSettled) unsettled.push(request);
      }
      if (index >= last) return { requests: found, unsettled, next: undefined };
      const isFull = found.length === chunkRequests || bytes >= maxChunkBytes || index - from.index >= mostLooked;
      if (isFull) return { requests: found, unsettled, next: { index: index + 1, offset: nextOffset, line: nextLine } };
    }
    throw new DispatchBlockedError('input_changed', `The input file ${inputFileId} has fewer requests than before.`);
  };

  /** Resolves with whether it has given any back. */
  return async ({ batch, state }: BatchSnapshot): Promise<boolean> => {
    const { id, inputFileId } = batch;
    if (state.outstanding + chunkRequests > room.requests || state.outstandingBytes > room.bytes) return false;
    const shard = (await shards.list(id)).find((each) => each.state.status === 'returning');
    if (!shard) return false;
    const chunk = await readChunk(id, inputFileId, shard);
    // The cursor gives jobs to those that it has not reached.
    const passed = chunk.unsettled.filter(({ index }) => index < state.dispatched);
    const { positions } = passed.length > 0 ? await add(batch, passed, state.positions) : state;
    passFailPoint('returned-added');
    const { next: _next, ...rest } = shard.state;
    const next = chunk.next ? { ...rest, next: chunk.next } : { ...rest, status: 'ended' as const };
    await shards.returned(id, shard, next, chunk.requests, positions);
    return true;
  };
};
