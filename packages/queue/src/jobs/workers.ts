import { setImmediate as afterSending, setTimeout as sleep } from 'node:timers/promises';
import { backoffDelayMs, type RetryPolicy } from '@promptmill/core';
import { type Job, Worker, type WorkerOptions } from 'bullmq';
import type { Keys } from '../keys.ts';
import { onBack, type RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { silenceMs } from '../connection/silence.ts';
import { createFetchTogether } from './fetch-together.ts';
import { createJobLocks, type JobLock, lockDurationMs } from './job-locks.ts';

/**
 * A dead worker is noticed when its jobs' locks have run out (7 s) and a stalled check has run: within 8 s. BullMQ's
 * defaults (30 s + 30 s) take a minute. The locks of a live worker have 6 s left at any moment, so its event loop may
 * be blocked for that long.
 */
const stalledIntervalMs = 500;
/**
 * The marks of a stalled check expire after this time. The next check, which acts on them, comes sooner, and a lock
 * lasts longer.
 */
const marksLastMs = 3000;
/** No lock runs out in a shorter outage. */
const harmlessOutageMs = 5000;
/** After a longer outage, the first worker that is back waits this long for the others. */
const awaitOthersMs = 5000;
/** A wait for a job ends well before a missing answer breaks the connection (6 s). */
const longestBlockSeconds = 4;
/** BullMQ's default is 15 s, which is longer than a lane may stand still after Redis is back. */
const retryAfterConnectionErrorMs = 1000;
const afterRefusalMs = 500;

/**
 * Works on one job. What it returns is the job's return value; what it throws fails the attempt.
 *
 * @param lendPlace lets the worker take one job more until this one ends, as this one does no work of its own meanwhile
 */
export type ProcessJob<T> = (job: Job<T>, lock: JobLock, lendPlace: () => void) => Promise<unknown>;

export interface OpenWorkerOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly name: string;
  /** Jobs at once in this process. */
  readonly concurrency: number;
  /** How many jobs more it may take, one for each that lends its place. Default 0. */
  readonly mostLent?: number;
  readonly retry?: RetryPolicy;
  /** What becomes of finished jobs whose own options do not say it. Default: they are kept. */
  readonly finished?: Pick<WorkerOptions, 'removeOnComplete' | 'removeOnFail'>;
  readonly onError: (error: Error) => void;
}

const awaitOthers = defineScript<[active: string, stalledCheck: string], [jobKeysStart: string, waitMs: number], null>(
  new URL('./await-others.lua', import.meta.url),
);

/** BullMQ's worker with five changes that it has no options for. */
class SteadyWorker<T> extends Worker<T> {
  readonly #fetches: ReturnType<typeof createFetchTogether>;
  readonly #lenders = new Set<Job<T>>();

  constructor(name: string, processor: (job: Job<T>) => Promise<unknown>, options: WorkerOptions, marks: StalledMarks) {
    super(name, processor, options);
    // With marks from before an outage, the first check after it would take the jobs of every worker that is not back
    // yet.
    const backend = this.getBackend();
    const check = backend.moveStalledJobsToWait.bind(backend);
    backend.moveStalledJobsToWait = async () => {
      const [stalled] = await Promise.all([check(), afterSending().then(marks.limit)]);
      return stalled;
    };
    const fetch = backend.moveToActive.bind(backend);
    this.#fetches = createFetchTogether({
      fetch: (token) => fetch(token),
      // A job that is fetched beyond it would wait for a place, and nobody would renew its lock.
      room: () => this.concurrency - (this['mainLoopQueue']?.numTotal() ?? 0),
      putBack: (id, token) => backend.moveJobFromActiveToWait(id, token),
    });
    backend.moveToActive = (token) => this.#fetches.next(token);
  }

  /** Lets the worker take one job more until this one ends, where fewer than `most` have done so. */
  lendPlace(job: Job<T>, most: number): void {
    if (this.#lenders.has(job) || this.#lenders.size >= most) return;
    this.#lenders.add(job);
    this.concurrency++;
    // A worker with all its places taken waits until a job ends. This is one that has ended, and lets it look again.
    if ((this['mainLoopQueue']?.numTotal() ?? 0) >= this.concurrency - 1) this['mainLoopQueue']?.add(Promise.resolve());
  }

  /** The place is back once the job has ended, and the next one has been fetched in its stead. */
  override async processJob(...args: Parameters<Worker<T>['processJob']>): ReturnType<Worker<T>['processJob']> {
    const [job] = args;
    try {
      return await super.processJob(...args);
    } finally {
      if (this.#lenders.delete(job)) this.concurrency--;
    }
  }

  /**
   * The longest wait for a job, in seconds, while the queue has delayed jobs; `drainDelay` is the wait without delayed
   * jobs.
   */
  override get maximumBlockTimeout(): number {
    return longestBlockSeconds;
  }

  override async pause(doNotWaitActive?: boolean): Promise<void> {
    await super.pause(doNotWaitActive);
    await this.#fetches.putAllBack();
  }

  /** While Redis refuses this command, BullMQ repeats it at once and without end. The pause slows that down. */
  protected override async moveToActive(token: string, name?: string): Promise<Job<T>> {
    try {
      const job = await super.moveToActive(token, name);
      const ownToken = this.#fetches.takeToken(job?.id);
      if (job && ownToken !== undefined) job.token = ownToken;
      return job;
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
  const { connection, keys, name, concurrency, mostLent = 0, retry, finished, onError } = options;
  const workerOptions: WorkerOptions = {
    connection,
    prefix: keys.queuePrefix(name),
    skipVersionCheck: true,
    concurrency,
    lockDuration: lockDurationMs,
    // createJobLocks does it.
    skipLockRenewal: true,
    stalledInterval: stalledIntervalMs,
    drainDelay: longestBlockSeconds,
    runRetryDelay: retryAfterConnectionErrorMs,
    // BullMQ also counts workers that were only cut off or stopped for a while. The processor decides what the count
    // means.
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
    (job) => locks.during(job, (lock) => processJob(job, lock, () => worker.lendPlace(job, mostLent))),
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

/** BullMQ ends its wait for a job by a disconnect. Between two attempts to connect, that disconnect would never end. */
const untilConnectedOrEnded = async (worker: Worker): Promise<void> => {
  const client = await worker.getBackend().blockingClient;
  const isBetween = (): boolean => client !== undefined && client.status !== 'ready' && client.status !== 'end';
  while (isBetween()) await sleep(lookEveryMs);
};

/**
 * Closes workers when their jobs have ended, or when their connection has ended, which its signal `closing` may cause.
 * It takes `longestMs` at most: BullMQ may wait for ever for a connection that broke during the close.
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
      // The connection broke meanwhile. Other workers find what Redis was not told, as after a crash.
      worker.emit('error', error as Error);
    }
  });
  const timeUp = new AbortController();
  await Promise.race([ended, Promise.all(closed), sleep(longestMs, undefined, { signal: timeUp.signal })]);
  timeUp.abort();
};
