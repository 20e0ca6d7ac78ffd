import type { RequestJob } from '@promptmill/core';
import type { Keys } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import type { ApiDependencies } from '../dependencies.ts';

export interface RemoveRequestJobsOptions {
  readonly redis: ApiDependencies['redis'];
  readonly keys: Keys;
  /** Names of the lanes that are configured. */
  readonly lanes: readonly string[];
  readonly queueOf: (lane: string) => Queue<RequestJob>;
}

/** Jobs that one command reads; Redis does nothing else meanwhile. */
const stepSize = 1000;

/**
 * Removes a batch's jobs from the lanes: ended ones, kept for Bull Board, and waiting ones that no worker has taken.
 */
export const createRemoveRequestJobs = ({ redis, keys, lanes, queueOf }: RemoveRequestJobsOptions) => {
  async function* waitingIn(lane: string): AsyncGenerator<string> {
    for (let first = 0; ; first += stepSize) {
      const ids = await redis.lrange(keys.laneJobs(lane, 'wait'), first, first + stepSize - 1);
      yield* ids;
      if (ids.length < stepSize) return;
    }
  }

  const jobsOf = async (batchId: string, lane: string): Promise<string[]> => {
    const found: string[] = [];
    for (const part of ['completed', 'failed', 'prioritized', 'delayed'] as const) {
      const entries = redis.zscanStream(keys.laneJobs(lane, part), { match: `${batchId}-*`, count: stepSize });
      for await (const idsAndScores of entries as AsyncIterable<string[]>)
        found.push(...idsAndScores.filter((_, i) => i % 2 === 0));
    }
    for await (const id of waitingIn(lane)) if (id.startsWith(`${batchId}-`)) found.push(id);
    return found;
  };

  /** @param dispatchedTo lanes that the batch's requests were added to, configured or not */
  return async (batchId: string, dispatchedTo: readonly string[]): Promise<void> => {
    for (const lane of new Set([...lanes, ...dispatchedTo]))
      for (const id of await jobsOf(batchId, lane)) await queueOf(lane).remove(id);
  };
};
