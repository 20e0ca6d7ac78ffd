import { type Batch, isOfShard, type LaneTable, type Shard } from '@promptmill/core';
import { type FileStore, type InputRequest, readRequests } from '@promptmill/files';
import { type DispatchedRequests, lookAtStates } from '@promptmill/queue';

export interface ShardLinesOptions {
  readonly files: FileStore;
  readonly requests: Pick<DispatchedRequests, 'states'>;
  readonly lanes: LaneTable;
}

type OfBatch = Pick<Batch, 'id' | 'inputFileId'>;

/** The requests of a shard that have no result from its batch API, and what is uploaded for them. */
export const createShardLines = ({ files, requests, lanes }: ShardLinesOptions) => {
  async function* read({ id, inputFileId }: OfBatch, plan: Shard): AsyncGenerator<InputRequest> {
    const stateOf = lookAtStates(requests, id);
    const from = { index: plan.first, offset: plan.offset, line: plan.line };
    for await (const request of readRequests(files, inputFileId, from)) {
      const { isHandedOff } = await stateOf(request.index);
      if (isHandedOff && isOfShard(plan, lanes.route(request.request.body.model))) yield request;
      if (request.index >= plan.last) return;
    }
  }

  /** Lines for the provider. Its custom_id is the request's index, which is short, and tells nothing of its owner. */
  async function* lines(batch: OfBatch, plan: Shard): AsyncGenerator<Buffer> {
    for await (const { index, request } of read(batch, plan)) {
      const { url, body } = request;
      const line = { custom_id: String(index), method: 'POST', url, body: { ...body, model: plan.model } };
      yield Buffer.from(`${JSON.stringify(line)}\n`);
    }
  }

  return {
    read,
    lines,
    /** How many lines there are, and how long they are together, in bytes. */
    async measure(batch: OfBatch, plan: Shard): Promise<{ readonly requests: number; readonly bytes: number }> {
      let [count, bytes] = [0, 0];
      for await (const line of lines(batch, plan)) {
        count++;
        bytes += line.length;
      }
      return { requests: count, bytes };
    },
  };
};

export type ShardLines = ReturnType<typeof createShardLines>;
