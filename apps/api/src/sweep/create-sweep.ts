import type { RequestJob } from '@promptmill/core';
import { openFinalizeQueue, openLaneQueue } from '@promptmill/queue';
import type { Config } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import type { ApiDependencies } from '../dependencies.ts';
import { createRemoveFile } from '../files/remove-file.ts';
import { createRemoveRequestJobs } from './remove-request-jobs.ts';
import { createSweepBatch } from './sweep-batch.ts';
import { createSweepDue } from './sweep-due.ts';

export type SweepOptions = Pick<
  ApiDependencies,
  'redis' | 'keys' | 'files' | 'records' | 'batches' | 'due' | 'batchesQueue' | 'logger' | 'now'
> &
  Pick<Config, 'lanes'>;

/** Removes what is due, with the queues that this takes. */
export const createSweep = (options: SweepOptions) => {
  const { lanes, redis, keys, batchesQueue, logger } = options;
  const onError = (error: Error): void => logger.warn({ err: error }, 'sweep');
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const laneQueues = new Map<string, Queue<RequestJob>>();
  const queueOf = (lane: string): Queue<RequestJob> => {
    const queue = laneQueues.get(lane) ?? openLaneQueue(redis, keys, lane);
    if (!laneQueues.has(lane)) queue.on('error', onError);
    laneQueues.set(lane, queue);
    return queue;
  };

  const removeFile = createRemoveFile(options);
  const removeRequestJobs = createRemoveRequestJobs({
    redis,
    keys,
    lanes: lanes.lanes.map(({ name }) => name),
    queueOf,
  });
  const queues = [batchesQueue, finalizeQueue];
  const sweepBatch = createSweepBatch({ ...options, removeFile, removeRequestJobs, queues });
  return {
    run: createSweepDue({ ...options, removeFile, sweepBatch }),
    async close(): Promise<void> {
      await Promise.all([finalizeQueue, ...laneQueues.values()].map((queue) => queue.close()));
    },
  };
};
