import { jobIdOf, type RequestJob } from '@promptmill/core';
import type { DispatchedRequests, Keys } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import type { ApiDependencies } from '../dependencies.ts';

export interface RemoveRequestJobsOptions {
  readonly redis: ApiDependencies['redis'];
  readonly keys: Keys;
  readonly requests: Pick<DispatchedRequests, 'unsettled'>;
  /** Names of all lanes. */
  readonly lanes: readonly string[];
  readonly queueOf: (lane: string) => Queue<RequestJob>;
}

/** No window is larger: so many of a batch's requests may have been left in a lane, at most. */
const maxLeft = 1_000_000;

/** Removes a batch's jobs from the lanes: ended ones, kept for Bull Board's screens, and those that nobody came to take. */
export const createRemoveRequestJobs = (options: RemoveRequestJobsOptions) => {
  const { redis, keys, requests, lanes, queueOf } = options;

  const endedJobs = async (lane: string, batchId: string): Promise<string[]> => {
    const parts = ['completed', 'failed'] as const;
    const ids = await Promise.all(parts.map((part) => redis.zrange(keys.laneJobs(lane, part), 0, '-1')));
    return ids.flat().filter((id) => id.startsWith(`${batchId}-`));
  };

  const existing = async (lane: string, ids: readonly string[]): Promise<string[]> => {
    const found = await Promise.all(ids.map((id) => redis.exists(keys.laneJob(lane, id))));
    return ids.filter((_, i) => found[i] === 1);
  };

  return async (batchId: string, dispatched: number): Promise<void> => {
    const left = (await requests.unsettled(batchId, dispatched, maxLeft)).map((index) => jobIdOf(batchId, index));
    for (const lane of lanes)
      for (const id of [...(await endedJobs(lane, batchId)), ...(await existing(lane, left))])
        await queueOf(lane).remove(id);
  };
};
