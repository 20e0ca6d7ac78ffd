import { jobIdOf, type LaneTable, type RequestJob } from '@promptmill/core';
import type { Job, Queue } from 'bullmq';

export interface FindLostRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
}

export interface LostRequests {
  /** The others without a job, or with one that has ended: nobody will answer them. */
  readonly indexes: readonly number[];
  /** Requests whose job BullMQ has failed: they crashed their workers too often. */
  readonly crashed: readonly RequestJob[];
}

const hasEnded = (state: string): boolean => state === 'unknown' || state === 'completed' || state === 'failed';
/** What `moveStalledJobsToWait-9.lua` of BullMQ gives as the reason. */
const crashedTooOften = /^job stalled more than allowable limit/;

/** Finds those of a batch's requests without a result that no job will answer either, and clears what is left of their jobs. */
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
  ): Promise<LostRequests> => {
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
    const crashed = ended.filter(({ failedReason = '' }) => crashedTooOften.test(failedReason)).map(({ data }) => data);
    const isCrashed = new Set(crashed.map(({ index }) => index));
    // What is left of a job would keep another of the same id from being added.
    await Promise.all(ended.filter(({ data }) => !isCrashed.has(data.index)).map((job) => job.remove()));
    return { indexes: indexes.filter((index) => !isCrashed.has(index)), crashed };
  };
};

export type FindLostRequests = ReturnType<typeof createFindLostRequests>;
