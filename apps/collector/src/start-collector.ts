import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { finalizeQueueName } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  addBatchJob,
  type BatchJob,
  closeRedis,
  closeWorkers,
  connectRedis,
  createBatchStore,
  createDueIndex,
  createFileRecords,
  createKeptAnswers,
  createKeys,
  createResultsStream,
  openFinalizeQueue,
  openWorker,
} from '@promptmill/queue';
import {
  type Config,
  createErrorLog,
  type Logger,
  type Metrics,
  noFailPoints,
  noTracing,
  type PassFailPoint,
  type Tracing,
} from '@promptmill/runtime';
import { DelayedError } from 'bullmq';
import { createBatchSpans } from './batch-spans.ts';
import { blockedBy } from './blocked-by.ts';
import { collectResults } from './collect-results.ts';
import { createFinalizeBatch } from './finalize-batch.ts';
import { createMoveAnswers } from './move-answers.ts';

export interface StartCollectorOptions {
  readonly config: Pick<Config, 'redisUrl' | 'redisPrefix' | 'graceMs'>;
  readonly files: FileStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** Default: there are no fail points. */
  readonly passFailPoint?: PassFailPoint;
}

export interface RunningCollector {
  /** Whether Redis answers. */
  ready(): boolean;
  /** Writes the results it holds and ends what it is finalizing. After the grace it leaves that to another collector. */
  close(): Promise<void>;
}

/** Time after the grace in which the work ends that was given up. */
const letGoMs = 5000;

/** Batches finalized at once by one collector; each streams two files to the store. */
const finalizeConcurrency = 4;

/** Gathers results into segments and finalizes batches. Any number of collectors may run. */
export const startCollector = async ({
  config,
  files,
  logger,
  metrics,
  tracing = noTracing,
  passFailPoint = noFailPoints,
}: StartCollectorOptions): Promise<RunningCollector> => {
  const logError = createErrorLog(logger);
  const onError = (error: unknown): void => logError(error, 'collector');
  const closing = new AbortController();
  /** Fires when the grace is over: finalizing that has not ended is left to another collector. */
  const giveUp = new AbortController();
  const connect = () => connectRedis({ url: config.redisUrl, whileAway: 'wait', onError, closing: closing.signal });
  const keys = createKeys(config.redisPrefix);
  const redis = connect();
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const consumer = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;

  const batches = createBatchStore(redis, keys);
  /** Shows why a batch waits. The batch is tried again every few seconds, so only a new reason is logged. */
  const block = async (batchId: string, error: unknown): Promise<void> => {
    const blocked = blockedBy(error);
    if (await batches.block(batchId, blocked))
      logger.warn({ err: error, batch: batchId, code: blocked.code }, 'batch waits for its files');
  };

  // A rate does not count the first value of a counter.
  metrics.results.inc({ outcome: 'collected' }, 0);
  const spans = createBatchSpans({ batches, tracing, onError });
  const blocking = connect();
  const stream = createResultsStream({ redis, blocking, keys, consumer });
  const collecting = collectResults({
    stream,
    files,
    moveAnswers: createMoveAnswers({
      files,
      answers: createKeptAnswers(redis, keys),
      due: createDueIndex(redis, keys),
      now: Date.now,
    }),
    onReady: (batchId) => addBatchJob(finalizeQueue, batchId),
    onSegment(segment) {
      metrics.segments.inc();
      metrics.results.inc({ outcome: 'collected' }, segment.results);
      spans.collected(segment);
    },
    onBlocked: block,
    onError,
    passFailPoint,
  });

  const finalizeBatch = createFinalizeBatch({
    batches,
    records: createFileRecords(redis, keys),
    files,
    now: Date.now,
    passFailPoint,
  });
  const finalizer = openWorker<BatchJob>(
    async (job) => {
      const { batchId } = job.data;
      const startedAt = performance.now();
      const startedAtMs = Date.now();
      const outcome = await finalizeBatch(batchId, giveUp.signal).catch(async (error: unknown) => {
        if (giveUp.signal.aborted) {
          await job.moveToDelayed(Date.now(), job.token);
          throw new DelayedError();
        }
        await block(batchId, error).catch(onError);
        throw error;
      });
      if (outcome === 'finalized') spans.finalized(batchId, startedAtMs);
      logger.info({ batch: batchId, outcome, ms: Math.round(performance.now() - startedAt) }, 'finalize');
    },
    { connection: redis, keys, name: finalizeQueueName, concurrency: finalizeConcurrency, onError },
  );
  logger.info({ consumer }, 'collector started');

  const letGo = async (): Promise<void> => {
    await collecting.close();
    await stream.leave().catch(onError);
    blocking.disconnect();
    await closeWorkers([finalizer], redis, config.graceMs + letGoMs);
    await finalizeQueue.close();
    await closeRedis(redis);
  };

  return {
    ready: () => redis.status === 'ready',
    async close() {
      // The close does not wait for a broken connection: another collector repeats what Redis has not taken.
      closing.abort();
      const giveUpLater = setTimeout(() => giveUp.abort(), config.graceMs);
      await Promise.race([letGo(), sleep(config.graceMs + letGoMs, undefined, { ref: false })]);
      clearTimeout(giveUpLater);
    },
  };
};
