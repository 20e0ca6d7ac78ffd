import { jobIdOf, type LaneTable, type RequestJob } from '@promptmill/core';
import type { Job, Queue } from 'bullmq';

export interface FindLostRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
}

const hasEnded = (state: string): boolean => state === 'unknown' || state === 'completed' || state === 'failed';

/**
 * Finds those of a batch's requests without a result that no job will answer either: they have none, or one that has ended.
 * Clears what is left of those jobs.
 */
export const createFindLostRequests = ({ lanes, queueOf }: FindLostRequestsOptions) => {
  /** The lanes that requests dispatched to `names` may be in by now. */
  const lanesFrom = (names: readonly string[]): string[] => {
    const found = new Set(names);
    // A set that grows while it is gone through is gone through to its end.
    for (const name of found)
      for (const model of lanes.lanes.find((lane) => lane.name === name)?.fallback ?? []) {
        const route = lanes.route(model);
        if (route) found.add(route.lane.name);
      }
    return [...found];
  };

  return async (
    batchId: string,
    unsettled: readonly number[],
    dispatchedTo: readonly string[],
  ): Promise<readonly number[]> => {
    const queues = lanesFrom(dispatchedTo).map(queueOf);
    let indexes = unsettled;
    // Looked at twice, since a request may have gone from a lane not yet looked at to one that was.
    for (const queue of queues.length > 1 ? [...queues, ...queues] : queues) {
      const states = await Promise.all(indexes.map((index) => queue.getJobState(jobIdOf(batchId, index))));
      indexes = indexes.filter((_, i) => hasEnded(states[i] ?? 'unknown'));
    }
    const ended: Job<RequestJob>[] = [];
    for (const queue of queues) {
      const jobs = await Promise.all(indexes.map((index) => queue.getJob(jobIdOf(batchId, index))));
      ended.push(...jobs.filter((job) => job !== undefined));
    }
    // What is left of a job would keep another of the same id from being added.
    await Promise.all(ended.map((job) => job.remove()));
    return indexes;
  };
};

export type FindLostRequests = ReturnType<typeof createFindLostRequests>;
