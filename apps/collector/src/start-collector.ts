import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { finalizeQueueName } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  addBatchJob,
  type BatchJob,
  closeRedis,
  connectRedis,
  createBatchStore,
  createFileRecords,
  createKeys,
  createResultsStream,
  openFinalizeQueue,
  openWorker,
} from '@promptmill/queue';
import { type Config, type Logger, type Metrics, type Reach, reachNothing } from '@promptmill/runtime';
import { collectResults } from './collect-results.ts';
import { createFinalizeBatch } from './finalize-batch.ts';

export interface StartCollectorOptions {
  readonly config: Pick<Config, 'redisUrl' | 'redisPrefix'>;
  readonly files: FileStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: there are no fail points. */
  readonly reach?: Reach;
}

export interface RunningCollector {
  /** Whether Redis answers. */
  ready(): boolean;
  /** Writes what it holds, ends the finalizing it has begun, and lets go. */
  close(): Promise<void>;
}

/** Batches finalized at once by one collector; each streams two files to the store. */
const finalizeConcurrency = 4;

/** Gathers results into segments and closes batches. Any number may run. */
export const startCollector = async ({
  config,
  files,
  logger,
  metrics,
  reach = reachNothing,
}: StartCollectorOptions): Promise<RunningCollector> => {
  const onError = (error: unknown): void => logger.warn({ err: error }, 'collector');
  const connect = () => connectRedis({ url: config.redisUrl, whileAway: 'wait', onError });
  const keys = createKeys(config.redisPrefix);
  const redis = connect();
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const consumer = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;

  const shards = keys.shards.map((shard) => {
    const blocking = connect();
    const stream = createResultsStream(redis, blocking, keys, { shard, consumer });
    const loop = collectResults({
      stream,
      files,
      onReady: (batchId) => addBatchJob(finalizeQueue, batchId),
      onSegment: ({ results }) => {
        metrics.segments.inc();
        metrics.results.inc({ outcome: 'collected' }, results.length);
      },
      onError,
      reach,
    });
    return { blocking, stream, loop };
  });

  const finalizeBatch = createFinalizeBatch({
    batches: createBatchStore(redis, keys),
    records: createFileRecords(redis, keys),
    files,
    now: Date.now,
    reach,
  });
  const finalizer = openWorker<BatchJob>(
    async (job) => {
      const { batchId } = job.data;
      const startedAt = performance.now();
      const outcome = await finalizeBatch(batchId);
      logger.info({ batch: batchId, outcome, ms: Math.round(performance.now() - startedAt) }, 'finalize');
    },
    { connection: redis, keys, name: finalizeQueueName, concurrency: finalizeConcurrency, onError },
  );
  finalizer.on('failed', (job, error) =>
    logger.error({ err: error, batch: job?.data.batchId }, 'finalize failed; it is tried again'),
  );
  logger.info({ consumer }, 'collector started');

  return {
    ready: () => redis.status === 'ready',
    async close() {
      await Promise.all(
        shards.map(async ({ blocking, stream, loop }) => {
          await loop.close();
          await stream.leave();
          blocking.disconnect();
        }),
      );
      await finalizer.close();
      await finalizeQueue.close();
      await closeRedis(redis);
    },
  };
};
