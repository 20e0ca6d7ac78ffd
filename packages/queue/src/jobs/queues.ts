import {
  batchesQueueName,
  finalizeQueueName,
  type RequestJob,
  shardJobIdOf,
  shardsQueueName,
  webhooksQueueName,
} from '@promptmill/core';
import { ErrorCode, Queue, type QueueOptions } from 'bullmq';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

export { batchesQueueName, finalizeQueueName, shardsQueueName, webhooksQueueName };

/** The job that carries a whole batch: it dispatches, shows progress and ends with the batch. */
export interface BatchJob {
  readonly batchId: string;
}

/** The job that carries one delivery of a webhook. What is secret stays in the webhook's record. */
export interface DeliveryJob {
  readonly tenant: string;
  readonly deliveryId: string;
  /** Which of the delivery's rounds this is. */
  readonly round: number;
}

/** The job that carries one shard through its provider's batch API. What it has come to is in the batch's keys. */
export interface ShardJob {
  readonly batchId: string;
  readonly shard: number;
}

/** Attempts of a job that repeats until it succeeds. */
const unlimited = 1_000_000_000;

/** A batch's progress is noted as events, which nothing reads. */
const keptEvents = 1000;

const queueOptions = (connection: RedisConnection, keys: Keys, name: string): QueueOptions => ({
  connection,
  prefix: keys.queuePrefix(name),
  // `promptmill doctor` checks the version. A check here would fail the queue for good if Redis is away at that moment.
  skipVersionCheck: true,
  streams: { events: { maxLen: keptEvents } },
});

const openQueue = <T>(
  connection: RedisConnection,
  keys: Keys,
  name: string,
  jobs: QueueOptions['defaultJobOptions'],
): Queue<T> =>
  new Queue<T>(name, { ...queueOptions(connection, keys, name), defaultJobOptions: { stackTraceLimit: 1, ...jobs } });

/** Finished jobs are kept for Bull Board's screens only; a batch's truth is its record. */
export const openBatchesQueue = (connection: RedisConnection, keys: Keys): Queue<BatchJob> =>
  openQueue(connection, keys, batchesQueueName, {
    attempts: unlimited,
    backoff: { type: 'fixed', delay: 1000 },
    // The first turn of a new batch comes before the next turns of batches that run.
    lifo: true,
    removeOnComplete: { age: 30 * 86_400, count: 10_000 },
    removeOnFail: { age: 30 * 86_400 },
  });

/** A batch's finalizing repeats until it succeeds, for example when a full disk has space again. */
export const openFinalizeQueue = (connection: RedisConnection, keys: Keys): Queue<BatchJob> =>
  openQueue(connection, keys, finalizeQueueName, {
    attempts: unlimited,
    backoff: { type: 'fixed', delay: 2000 },
    removeOnComplete: true,
    removeOnFail: true,
  });

/** A job puts itself off between attempts, so that BullMQ counts none of them. */
export const openWebhooksQueue = (connection: RedisConnection, keys: Keys): Queue<DeliveryJob> =>
  openQueue(connection, keys, webhooksQueueName, {
    attempts: unlimited,
    backoff: { type: 'fixed', delay: 1000 },
    removeOnComplete: true,
    removeOnFail: true,
  });

/** A job puts itself off between its looks at the provider. Ended jobs are kept for Bull Board's screens only. */
export const openShardsQueue = (connection: RedisConnection, keys: Keys): Queue<ShardJob> =>
  openQueue(connection, keys, shardsQueueName, {
    attempts: unlimited,
    backoff: { type: 'fixed', delay: 5000 },
    removeOnComplete: { age: 30 * 86_400, count: 1000 },
    removeOnFail: true,
  });

export const openLaneQueue = (connection: RedisConnection, keys: Keys, lane: string): Queue<RequestJob> =>
  openQueue(connection, keys, lane, {});

/** The lanes' queues, each opened when it is first asked for. */
export const openLaneQueues = (connection: RedisConnection, keys: Keys, onError: (error: Error) => void) => {
  const queues = new Map<string, Queue<RequestJob>>();
  return {
    of: (lane: string): Queue<RequestJob> => {
      const queue = queues.get(lane) ?? openLaneQueue(connection, keys, lane);
      if (!queues.has(lane)) queue.on('error', onError);
      queues.set(lane, queue);
      return queue;
    },
    async close(): Promise<void> {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
};

/** Ends a job's delay. Resolves with false when the job is not delayed. */
export const promoteJob = async (
  queue: Queue<RequestJob> | Queue<DeliveryJob> | Queue<ShardJob>,
  jobId: string,
): Promise<boolean> => {
  try {
    await queue.getBackend().promote(jobId);
    return true;
  } catch (error) {
    // A number as code is BullMQ's.
    if (error instanceof Error && 'code' in error && typeof error.code === 'number') return false;
    throw error;
  }
};

/**
 * Adds the job of a batch or of its finalizing. The batch's id is the job's id, so adding it again changes nothing.
 *
 * @param name the job's name on Bull Board
 */
export const addBatchJob = async (queue: Queue<BatchJob>, batchId: string, name = batchId): Promise<void> => {
  await queue.add(name, { batchId }, { jobId: batchId });
};

/** BullMQ's largest priority. */
const lastPriority = 2 ** 21;

/**
 * Adds the job of a round of a delivery. Adding it again changes nothing.
 *
 * @param ahead how many other deliveries of the tenant are under way. Jobs with fewer go first, so that tenants take turns
 */
export const addDeliveryJob = async (
  queue: Queue<DeliveryJob>,
  name: string,
  job: DeliveryJob,
  ahead: number,
): Promise<void> => {
  const priority = Math.min(lastPriority, ahead + 1);
  await queue.add(name, job, { jobId: `${job.deliveryId}-${job.round}`, priority });
};

/** Adds the jobs of a batch's shards. Adding them again changes nothing. `name`: what Bull Board shows. */
export const addShardJobs = async (
  queue: Queue<ShardJob>,
  batchId: string,
  shards: readonly { readonly number: number; readonly name: string }[],
): Promise<void> => {
  await queue.addBulk(
    shards.map(({ number, name }) => ({
      name,
      data: { batchId, shard: number },
      opts: { jobId: shardJobIdOf(batchId, number) },
    })),
  );
};

/** Ends the rest of a batch's job: its next step comes now. Does nothing when the job does not rest. */
export const wakeBatchJob = async (queue: Queue<BatchJob>, batchId: string): Promise<void> => {
  try {
    await queue.getBackend().promote(batchId);
  } catch (error) {
    if ((error as { code?: unknown }).code !== ErrorCode.JobNotInState) throw error;
  }
};
