import type { Lane, RequestJob } from '@promptmill/core';
import { createProviderClient, type ProviderClient } from '@promptmill/provider';
import {
  connectRedis,
  createKeys,
  createResultRecorder,
  maxCrashesPerRequest,
  openLaneQueue,
  openWorker,
} from '@promptmill/queue';
import type { Config, Logger, Metrics } from '@promptmill/runtime';
import { createProcessRequest } from './process-request.ts';

export interface StartWorkerOptions {
  readonly config: Pick<Config, 'redisUrl' | 'redisPrefix' | 'lanes' | 'workerConcurrency' | 'retry'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long calls in flight may go on after `close`, in milliseconds; then they are put back. Default 25000. */
  readonly graceMs?: number;
}

export interface RunningWorker {
  /** Whether Redis answers. */
  ready(): boolean;
  /** Takes no more jobs, lets the calls in flight end, and puts back those that do not end in time. */
  close(): Promise<void>;
}

/** Takes jobs from every lane, one BullMQ worker each. */
export const startWorker = async ({
  config,
  logger,
  metrics,
  graceMs = 25_000,
}: StartWorkerOptions): Promise<RunningWorker> => {
  const { redisUrl, redisPrefix, lanes, workerConcurrency, retry } = config;
  const onError = (error: Error): void => logger.warn({ err: error }, 'redis');
  const connection = connectRedis({ url: redisUrl, whileAway: 'wait', onError });
  const keys = createKeys(redisPrefix);
  const recorder = createResultRecorder(connection, keys);

  const clients = new Map<string, ProviderClient>();
  const clientOf = ({ provider }: Lane): ProviderClient => {
    const lanesOfProvider = lanes.lanes.filter((lane) => lane.provider === provider).length;
    const client =
      clients.get(provider.name) ??
      createProviderClient(provider, { maxConnections: workerConcurrency * lanesOfProvider });
    clients.set(provider.name, client);
    return client;
  };

  const openLane = async (lane: Lane) => {
    const queue = openLaneQueue(connection, keys, lane.name);
    await (lane.concurrency === undefined
      ? queue.removeGlobalConcurrency()
      : queue.setGlobalConcurrency(lane.concurrency));
    await queue.close();
    const { processRequest, recordLost } = createProcessRequest({
      client: clientOf(lane),
      recorder,
      retry,
      onCall: (result, durationMs) => {
        metrics.calls.inc({ lane: lane.name, class: result.kind === 'failure' ? result.class : result.kind });
        metrics.callDuration.observe({ lane: lane.name }, durationMs / 1000);
      },
    });
    const worker = openWorker<RequestJob>(processRequest, {
      connection,
      keys,
      name: lane.name,
      concurrency: Math.min(workerConcurrency, lane.concurrency ?? workerConcurrency),
      retry,
      maxCrashes: maxCrashesPerRequest,
      onError,
    });
    worker.on('failed', (job, error) => {
      // Recording again what the processor recorded changes nothing; a job that BullMQ gave up is recorded here first.
      if (job && job.finishedOn !== undefined)
        recordLost(job.data, error.message).catch((reason: unknown) => logger.error({ err: reason }, 'record lost'));
    });
    return worker;
  };

  const workers = await Promise.all(lanes.lanes.map(openLane));
  logger.info({ lanes: lanes.lanes.length, concurrency: workerConcurrency }, 'worker started');

  return {
    ready: () => connection.status === 'ready',
    async close() {
      const putBack = setTimeout(() => {
        for (const worker of workers) worker.cancelAllJobs('the worker is stopping');
      }, graceMs);
      await Promise.all(workers.map((worker) => worker.close()));
      clearTimeout(putBack);
      await Promise.all([...clients.values()].map((client) => client.close()));
      await connection.quit();
    },
  };
};
