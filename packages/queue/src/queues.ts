import { setTimeout as sleep } from 'node:timers/promises';
import {
  backoffDelayMs,
  batchesQueueName,
  finalizeQueueName,
  type RequestJob,
  type RetryPolicy,
} from '@promptmill/core';
import { type Job, Queue, Worker, type Processor, type QueueOptions, type WorkerOptions } from 'bullmq';
import type { Keys } from './keys.ts';
import type { RedisConnection } from './redis.ts';
import { createScripts } from './scripts.ts';

export { batchesQueueName, finalizeQueueName };

/** The job that carries a whole batch: it dispatches, shows progress and ends with the batch. */
export interface BatchJob {
  readonly batchId: string;
}

/**
 * A worker that dies is noticed when its jobs' locks have run out and a stalled check has passed: after 9 s at most, where
 * BullMQ's defaults (30 s + 30 s) take a minute. Locks are renewed twice in `lockRenewTimeMs`, so that one which lives has
 * 5 s left at any moment: for so long an event loop may be blocked.
 */
const lockDurationMs = 7000;
const lockRenewTimeMs = 1000;
const stalledIntervalMs = 1000;
/** Stalled checks are never further apart than this; a lock lasts longer. */
const stalledSetMs = 3000;
/** A wait for a job ends well before the connection is taken for dead for want of an answer. */
const longestBlockSeconds = 4;
/** BullMQ's default is 15 s, which is longer than a lane may stand still once Redis is back. */
const retryAfterConnectionErrorMs = 1000;
const afterRefusalMs = 500;
/** Attempts of a job that repeats until it succeeds. */
const unlimited = 1_000_000_000;

/** Events feed screens only; a long stream would be Redis memory spent on nothing. */
const keptEvents = 1000;

const queueOptions = (connection: RedisConnection, keys: Keys, name: string): QueueOptions => ({
  connection: connection,
  prefix: keys.queuePrefix(name),
  // Checked once by `promptmill doctor`; a check that meets a Redis that is just away would fail the queue for good.
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
    removeOnComplete: { age: 30 * 86_400, count: 10_000 },
    removeOnFail: { age: 30 * 86_400 },
  });

/** A batch's finalizing repeats until it succeeds: a full disk is waited out. */
export const openFinalizeQueue = (connection: RedisConnection, keys: Keys): Queue<BatchJob> =>
  openQueue(connection, keys, finalizeQueueName, {
    attempts: unlimited,
    backoff: { type: 'fixed', delay: 2000 },
    removeOnComplete: true,
    removeOnFail: true,
  });

export const openLaneQueue = (connection: RedisConnection, keys: Keys, lane: string): Queue<RequestJob> =>
  openQueue(connection, keys, lane, { removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } });

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

/** The job of a batch or of its finalizing is named after it: adding it twice is adding it once. */
export const addBatchJob = async (queue: Queue<BatchJob>, batchId: string): Promise<void> => {
  await queue.add('batch', { batchId }, { jobId: batchId });
};

export interface OpenWorkerOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly name: string;
  /** Jobs at once in this process. */
  readonly concurrency: number;
  readonly retry?: RetryPolicy;
  readonly onError: (error: Error) => void;
}

type RenewLocks = (jobIds: string[], tokens: string[], durationMs: number) => Promise<string[]>;

/** BullMQ's worker, in the three things that it has no options for. */
class SteadyWorker<T> extends Worker<T> {
  readonly #renewLocks: RenewLocks;

  constructor(name: string, processor: Processor<T>, options: WorkerOptions, renewLocks: RenewLocks) {
    super(name, processor, options);
    this.#renewLocks = renewLocks;
  }

  /** Of a queue with delayed jobs; 10 s otherwise. */
  override get maximumBlockTimeout(): number {
    return longestBlockSeconds;
  }

  /** Which it would repeat at once, without end, while Redis refuses it. */
  protected override async moveToActive(token: string, name?: string): Promise<Job<T>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await sleep(afterRefusalMs);
      throw error;
    }
  }

  override extendJobLocks(jobIds: string[], tokens: string[], durationMs: number): Promise<string[]> {
    return this.#renewLocks(jobIds, tokens, durationMs);
  }
}

const createRenewLocks = (connection: RedisConnection, keys: Keys, name: string): RenewLocks => {
  const run = createScripts(connection);
  return (jobIds, tokens, durationMs) =>
    run(
      'renewLocks',
      keys.laneJobs(name, 'active'),
      keys.laneJobs(name, 'stalled'),
      `${keys.queuePrefix(name)}:${name}:`,
      durationMs,
      stalledSetMs,
      ...jobIds.flatMap((id, i) => [id, tokens[i] ?? '']),
    ) as Promise<string[]>;
};

/** A BullMQ worker with our recovery settings. It starts taking jobs at once. */
export const openWorker = <T>(processor: Processor<T>, options: OpenWorkerOptions): Worker<T> => {
  const { connection, keys, name, concurrency, retry, onError } = options;
  const workerOptions: WorkerOptions = {
    connection: connection,
    prefix: keys.queuePrefix(name),
    skipVersionCheck: true,
    concurrency,
    lockDuration: lockDurationMs,
    lockRenewTime: lockRenewTimeMs,
    stalledInterval: stalledIntervalMs,
    drainDelay: longestBlockSeconds,
    runRetryDelay: retryAfterConnectionErrorMs,
    // A worker that was cut off, or stopped for a while, counts as lost too: what that says of a job is not BullMQ's to tell.
    maxStalledCount: unlimited,
    ...(retry
      ? { settings: { backoffStrategy: (attempt: number) => backoffDelayMs(retry, attempt, Math.random()) } }
      : {}),
  };
  const worker = new SteadyWorker(name, processor, workerOptions, createRenewLocks(connection, keys, name));
  worker.on('error', onError);
  return worker;
};

const lookEveryMs = 50;

/** BullMQ cuts its wait for a job by disconnecting; between two attempts to connect that would never end. */
const untilConnectedOrEnded = async (worker: Worker): Promise<void> => {
  const client = await worker.getBackend().blockingClient;
  const isBetween = (): boolean => client !== undefined && client.status !== 'ready' && client.status !== 'end';
  while (isBetween()) await sleep(lookEveryMs);
};

/**
 * Closes workers once their jobs have ended, or once their connection has, as its signal `closing` may let it; after
 * `longestMs` at most, since BullMQ may wait for ever for a connection that broke while it closed.
 */
export const closeWorkers = async (
  workers: readonly Worker[],
  connection: RedisConnection,
  longestMs: number,
): Promise<void> => {
  const ended = new Promise<void>((resolve) => {
    if (connection.status === 'end') resolve();
    else connection.once('end', () => resolve());
  });
  const closed = workers.map(async (worker) => {
    const withoutWaiting = true;
    try {
      await worker.pause(withoutWaiting);
      await untilConnectedOrEnded(worker);
      await worker.close();
    } catch (error) {
      // Its connection broke meanwhile: what it had not told Redis is found by others, as after a crash.
      worker.emit('error', error as Error);
    }
  });
  const timeUp = new AbortController();
  await Promise.race([ended, Promise.all(closed), sleep(longestMs, undefined, { signal: timeUp.signal })]);
  timeUp.abort();
};
