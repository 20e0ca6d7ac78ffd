import { createBatchCounts, openFinalizeQueue, openLaneQueues } from '@promptmill/queue';
import type { Config } from '@promptmill/runtime';
import type { ApiDependencies } from '../dependencies.ts';
import { createRemoveFile } from '../files/remove-file.ts';
import { createRemoveRequestJobs } from './remove-request-jobs.ts';
import { createSweepBatch } from './sweep-batch.ts';
import { createSweepDue } from './sweep-due.ts';
import { createSweepUpload } from './sweep-upload.ts';

export type SweepOptions = Pick<
  ApiDependencies,
  | 'redis'
  | 'keys'
  | 'files'
  | 'records'
  | 'uploads'
  | 'batches'
  | 'deliveries'
  | 'due'
  | 'batchesQueue'
  | 'logger'
  | 'now'
> &
  Pick<Config, 'lanes'>;

/** The sweep, with the queues that it needs. */
export const createSweep = (options: SweepOptions) => {
  const { lanes, redis, keys, batchesQueue, logger } = options;
  const onError = (error: Error): void => logger.warn({ err: error }, 'sweep');
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const laneQueues = openLaneQueues(redis, keys, onError);
  const queueOf = laneQueues.of;

  const removeFile = createRemoveFile(options);
  const removeRequestJobs = createRemoveRequestJobs({
    redis,
    keys,
    lanes: lanes.lanes.map(({ name }) => name),
    queueOf,
  });
  const queues = [batchesQueue, finalizeQueue];
  const sweepBatch = createSweepBatch({
    ...options,
    counts: createBatchCounts(redis, keys),
    removeFile,
    removeRequestJobs,
    queues,
  });
  return {
    run: createSweepDue({ ...options, removeFile, sweepBatch, sweepUpload: createSweepUpload(options) }),
    async close(): Promise<void> {
      await Promise.all([finalizeQueue.close(), laneQueues.close()]);
    },
  };
};
