import { type LaneTable, shardJobIdOf, type Tenants } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  addShardJobs,
  type BatchSnapshot,
  type BatchStore,
  type DispatchedRequests,
  type FileRecords,
  promoteJob,
  type ReadShard,
  type ShardJob,
  type Shards,
} from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import { batchJobName } from '../batches/batch-job-name.ts';
import type { AddRequests } from '../dispatch/add-requests.ts';
import { createSeenBatches } from '../seen-batches.ts';
import { createPlanShards } from './plan-shards.ts';
import { createReturnRequests } from './return-requests.ts';

export interface HandOffOptions {
  readonly batches: Pick<BatchStore, 'read'>;
  readonly records: Pick<FileRecords, 'get'>;
  readonly shards: Shards;
  readonly requests: DispatchedRequests;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly limitsOf: Tenants['limitsOf'];
  readonly add: AddRequests;
  readonly queue: Queue<ShardJob>;
  /** How often the connection to Redis was made. Each time Redis may have lost its latest writes. */
  readonly connections: () => number;
  readonly passFailPoint: PassFailPoint;
  readonly now: () => number;
}

/** The steps of a batch of which requests may go through a provider's batch API. */
export const createHandOff = (options: HandOffOptions) => {
  const { records, shards, lanes, queue, connections, passFailPoint } = options;
  const { mayHandOff, plan } = createPlanShards(options);
  const giveBack = createReturnRequests(options);
  /** The connection since which a batch's shards have their jobs. */
  const added = createSeenBatches<number>();

  const openShards = async (id: string) => (await shards.list(id)).filter(({ state }) => state.status === 'open');

  const hasBatchApi = ({ plan: { provider } }: ReadShard): boolean =>
    lanes.lanes.some((lane) => lane.provider.name === provider && lane.provider.batchApi !== undefined);

  const addJobs = async ({ batch }: BatchSnapshot): Promise<void> => {
    const { id, tenant, inputFileId } = batch;
    const connection = connections();
    if (added.get(id) === connection) return;
    const [input, all] = await Promise.all([records.get(tenant, inputFileId), openShards(id)]);
    const open = all.filter(hasBatchApi);
    // No worker takes shards of a provider that has no batch API any more.
    for (const shard of all.filter((each) => !open.includes(each)))
      await shards.put(id, shard, { ...shard.state, status: 'returning', reason: 'no_batch_api' });
    const of = batchJobName(batch, input);
    await addShardJobs(
      queue,
      id,
      open.map(({ plan: { number, provider, model, first, last } }) => ({
        number,
        name: `${of}: ${first} to ${last}, ${provider}/${model}`,
      })),
    );
    added.note(id, connection);
  };

  return {
    /**
     * Takes the steps that come before dispatch. `dispatch`: it may add requests to lanes now. Throws DispatchBlockedError.
     */
    async prepare(snapshot: BatchSnapshot): Promise<'dispatch' | 'changed'> {
      const { batch, state } = snapshot;
      if (state.handedOff === undefined && state.dispatched === 0 && mayHandOff(batch)) {
        await plan(snapshot);
        passFailPoint('hand-off-planned');
        return 'changed';
      }
      if (state.openShards > 0) await addJobs(snapshot);
      return state.returningShards > 0 && (await giveBack(snapshot)) ? 'changed' : 'dispatch';
    },

    /** Ends the rests of a batch's shards: they are to see that it is paused or stopped. */
    async wakeShards({ batch: { id } }: BatchSnapshot): Promise<void> {
      for (const { plan: shard, state: seen } of await openShards(id))
        if (!seen.cancelled) await promoteJob(queue, shardJobIdOf(id, shard.number));
    },
  };
};

export type HandOff = ReturnType<typeof createHandOff>;
