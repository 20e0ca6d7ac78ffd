import { jobIdOf, type LaneTable, type RequestJob } from '@promptmill/core';
import type { DispatchedRequests } from '@promptmill/queue';
import type { Job, Queue } from 'bullmq';

export interface FindLostRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly requests: Pick<DispatchedRequests, 'areSettled'>;
}

const hasEnded = (state: string): boolean => state === 'unknown' || state === 'completed' || state === 'failed';

/**
 * Finds the requests that have neither a result nor a job that will give one: no job, or one that has ended. Removes what
 * is left of ended jobs.
 */
export const createFindLostRequests = ({ lanes, queueOf, requests }: FindLostRequestsOptions) => {
  /** The lanes that requests of the lanes `names` may be in by now, through fallbacks. */
  const lanesFrom = (names: readonly string[]): string[] => {
    const found = new Set(names);
    // The loop also visits lanes that are added while it runs.
    for (const name of found) {
      for (const { flex, name: standard } of lanes.lanes) if (flex?.name === name) found.add(standard);
      for (const model of lanes.lanes.find((lane) => lane.name === name)?.fallback ?? []) {
        const route = lanes.route(model);
        if (route) found.add(route.lane.name);
      }
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
    // Each lane is looked at twice: a request may move to a lane that was looked at from one that was not.
    for (const queue of queues.length > 1 ? [...queues, ...queues] : queues) {
      const states = await Promise.all(indexes.map((index) => queue.getJobState(jobIdOf(batchId, index))));
      indexes = indexes.filter((_, i) => hasEnded(states[i] ?? 'unknown'));
    }
    // A result is recorded before its job ends: what has ended during the look has its result by now.
    const settled = await requests.areSettled(batchId, indexes);
    indexes = indexes.filter((_, i) => !settled[i]);
    const ended: Job<RequestJob>[] = [];
    for (const queue of queues) {
      const jobs = await Promise.all(indexes.map((index) => queue.getJob(jobIdOf(batchId, index))));
      ended.push(...jobs.filter((job) => job !== undefined));
    }
    // BullMQ adds no job while an ended one has the same id.
    await Promise.all(ended.map((job) => job.remove()));
    return indexes;
  };
};

export type FindLostRequests = ReturnType<typeof createFindLostRequests>;
