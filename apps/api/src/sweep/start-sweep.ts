import type { RequestJob } from '@promptmill/core';
import { createDispatchedRequests, isReady, openFinalizeQueue, openLaneQueue } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import type { ApiDependencies } from '../dependencies.ts';
import { createRemoveRequestJobs } from './remove-request-jobs.ts';
import { createSweepBatch } from './sweep-batch.ts';
import { createSweepDue } from './sweep-due.ts';

const dueEveryMs = 60_000;
const abandonedEveryMs = 3_600_000;
/** An upload that has not moved for so long has no one behind it. */
const abandonedAfterMs = 86_400_000;

type Dependencies = Pick<
  ApiDependencies,
  | 'config'
  | 'redis'
  | 'keys'
  | 'files'
  | 'records'
  | 'batches'
  | 'due'
  | 'removeFile'
  | 'batchesQueue'
  | 'logger'
  | 'now'
>;

/** Runs `work` now and every so often, one run at a time. */
const repeat = (everyMs: number, work: () => Promise<void>, onError: (error: unknown) => void) => {
  let running: Promise<void> | undefined;
  const run = (): void => {
    running ??= work()
      .catch(onError)
      .finally(() => (running = undefined));
  };
  run();
  const timer = setInterval(run, everyMs);
  return async (): Promise<void> => {
    clearInterval(timer);
    await running;
  };
};

/**
 * Removes what is not to be kept any longer: files and batches whose time is over, once a minute, and what killed
 * processes left half-written, once an hour. Several at once do no harm.
 */
export const startSweep = (dependencies: Dependencies): { close(): Promise<void> } => {
  const { config, redis, keys, files, batchesQueue, logger } = dependencies;
  const onError = (error: unknown): void => logger.warn({ err: error }, 'sweep');
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const laneQueues = new Map<string, Queue<RequestJob>>();
  const queueOf = (lane: string): Queue<RequestJob> => {
    const queue = laneQueues.get(lane) ?? openLaneQueue(redis, keys, lane);
    if (!laneQueues.has(lane)) queue.on('error', onError);
    laneQueues.set(lane, queue);
    return queue;
  };
  const removeRequestJobs = createRemoveRequestJobs({
    redis,
    keys,
    requests: createDispatchedRequests(redis, keys),
    lanes: config.lanes.lanes.map(({ name }) => name),
    queueOf,
  });
  const sweepBatch = createSweepBatch({ ...dependencies, removeRequestJobs, queues: [batchesQueue, finalizeQueue] });
  const sweepDue = createSweepDue({ ...dependencies, sweepBatch });

  const stopping = new AbortController();
  const stops = [
    repeat(dueEveryMs, async () => (isReady(redis) ? sweepDue(stopping.signal) : undefined), onError),
    repeat(
      abandonedEveryMs,
      async () => {
        const removed = await files.removeAbandoned(abandonedAfterMs);
        if (removed > 0) logger.info({ removed }, 'abandoned uploads removed');
      },
      onError,
    ),
  ];
  return {
    async close() {
      stopping.abort();
      await Promise.all(stops.map((stop) => stop()));
      await Promise.all([finalizeQueue, ...laneQueues.values()].map((queue) => queue.close()));
    },
  };
};
