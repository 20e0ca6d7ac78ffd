import { setImmediate as afterSending, setTimeout as sleep } from 'node:timers/promises';
import { backoffDelayMs, type RetryPolicy } from '@promptmill/core';
import { type Job, Worker, type WorkerOptions } from 'bullmq';
import type { Keys } from '../keys.ts';
import { onBack, type RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { silenceMs } from '../connection/silence.ts';
import { createJobLocks, type JobLock, lockDurationMs } from './job-locks.ts';

/**
 * A worker that dies is noticed when its jobs' locks have run out (7 s) and a stalled check has passed: after 8 s at most,
 * where BullMQ's defaults (30 s + 30 s) take a minute. A worker that lives has 6 s left of each lock at any moment: its
 * event loop may be blocked for as long.
 */
const stalledIntervalMs = 500;
/** What one stalled check has marked is for the next to act on, which is never further away; a lock lasts longer. */
const marksLastMs = 3000;
/** No lock runs out in an outage that is shorter. */
const harmlessOutageMs = 5000;
/** After a longer outage, the first worker that is back waits this long for the others. */
const awaitOthersMs = 5000;
/** A wait for a job ends well before the connection is taken for dead for want of an answer. */
const longestBlockSeconds = 4;
/** BullMQ's default is 15 s, which is longer than a lane may stand still once Redis is back. */
const retryAfterConnectionErrorMs = 1000;
const afterRefusalMs = 500;

/** Works on one job. What it returns is the job's return value; what it throws fails the attempt. */
export type ProcessJob<T> = (job: Job<T>, lock: JobLock) => Promise<unknown>;

export interface OpenWorkerOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly name: string;
  /** Jobs at once in this process. */
  readonly concurrency: number;
  readonly retry?: RetryPolicy;
  /** What becomes of finished jobs whose own options do not say it. Default: they are kept. */
  readonly finished?: Pick<WorkerOptions, 'removeOnComplete' | 'removeOnFail'>;
  readonly onError: (error: Error) => void;
}

const awaitOthers = defineScript<[active: string, stalledCheck: string], [jobKeysStart: string, waitMs: number], null>(
  new URL('./await-others.lua', import.meta.url),
);

/** BullMQ's worker, in the three things that it has no options for. */
class SteadyWorker<T> extends Worker<T> {
  constructor(name: string, processor: (job: Job<T>) => Promise<unknown>, options: WorkerOptions, marks: StalledMarks) {
    super(name, processor, options);
    // Marks from before an outage would let the first check after it take the jobs of all that are not back yet.
    const backend = this.getBackend();
    const check = backend.moveStalledJobsToWait.bind(backend);
    backend.moveStalledJobsToWait = async () => {
      const [stalled] = await Promise.all([check(), afterSending().then(marks.limit)]);
      return stalled;
    };
  }

  /** The longest wait for a job, in seconds, while the queue has delayed jobs; `drainDelay` is the one without. */
  override get maximumBlockTimeout(): number {
    return longestBlockSeconds;
  }

  /** BullMQ repeats it at once, without end, while Redis refuses it. */
  protected override async moveToActive(token: string, name?: string): Promise<Job<T>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await sleep(afterRefusalMs);
      throw error;
    }
  }
}

const createStalledMarks = (connection: RedisConnection, keys: Keys, name: string) => ({
  limit: () => connection.pexpire(keys.laneJobs(name, 'stalled'), marksLastMs),
  awaitOthers: () =>
    awaitOthers(
      connection,
      [keys.laneJobs(name, 'active'), keys.laneJobs(name, 'stalled-check')],
      [keys.laneJob(name, ''), awaitOthersMs],
    ),
});

type StalledMarks = ReturnType<typeof createStalledMarks>;

/** A BullMQ worker with our recovery settings. It starts taking jobs at once. */
export const openWorker = <T>(processJob: ProcessJob<T>, options: OpenWorkerOptions): Worker<T> => {
  const { connection, keys, name, concurrency, retry, finished, onError } = options;
  const workerOptions: WorkerOptions = {
    connection,
    prefix: keys.queuePrefix(name),
    skipVersionCheck: true,
    concurrency,
    lockDuration: lockDurationMs,
    // The locks below do it.
    skipLockRenewal: true,
    stalledInterval: stalledIntervalMs,
    drainDelay: longestBlockSeconds,
    runRetryDelay: retryAfterConnectionErrorMs,
    // A worker that was cut off, or stopped for a while, counts as lost too. The processor decides what that says of a job.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    ...finished,
    ...(retry
      ? { settings: { backoffStrategy: (attempt: number) => backoffDelayMs(retry, attempt, Math.random()) } }
      : {}),
  };
  const locks = createJobLocks(connection, keys, name, onError);
  const marks = createStalledMarks(connection, keys, name);
  const worker = new SteadyWorker<T>(
    name,
    (job) => locks.during(job, (lock) => processJob(job, lock)),
    workerOptions,
    marks,
  );
  worker.on('error', onError);
  const stopListening = onBack(connection, () => {
    if (silenceMs(connection) > harmlessOutageMs) marks.awaitOthers().catch(onError);
  });
  worker.once('closed', () => {
    stopListening();
    locks.close();
  });
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
