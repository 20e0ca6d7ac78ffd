import { setImmediate as afterSending, setTimeout as sleep } from 'node:timers/promises';
import { backoffDelayMs, type RetryPolicy } from '@promptmill/core';
import { type Job, type Processor, Worker, type WorkerOptions } from 'bullmq';
import type { Keys } from '../keys.ts';
import { onBack, type RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { silenceMs } from '../connection/silence.ts';

/**
 * A worker that dies is noticed when its jobs' locks have run out and a stalled check has passed: after 8 s at most, where
 * BullMQ's defaults (30 s + 30 s) take a minute. Locks are renewed twice in `lockRenewTimeMs`, so that one which lives has
 * 5 s left at any moment: for so long an event loop may be blocked.
 */
const lockDurationMs = 7000;
const lockRenewTimeMs = 1000;
const stalledIntervalMs = 500;
/** What one stalled check has marked is for the next to act on, which is never further away; a lock lasts longer. */
const marksLastMs = 3000;
/** An outage so short has let no lock run out. */
const harmlessOutageMs = 5000;
/** After a longer one, whoever is back first waits so long for the others. */
const awaitOthersMs = 5000;
/** A wait for a job ends well before the connection is taken for dead for want of an answer. */
const longestBlockSeconds = 4;
/** BullMQ's default is 15 s, which is longer than a lane may stand still once Redis is back. */
const retryAfterConnectionErrorMs = 1000;
const afterRefusalMs = 500;

export interface OpenWorkerOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly name: string;
  /** Jobs at once in this process. */
  readonly concurrency: number;
  readonly retry?: RetryPolicy;
  readonly onError: (error: Error) => void;
}

const renewLocks = defineScript<
  [active: string, marks: string],
  [jobKeysStart: string, durationMs: number, ...idsAndTokens: string[]],
  string[]
>(new URL('./renew-locks.lua', import.meta.url));
const awaitOthers = defineScript<[active: string, stalledCheck: string], [jobKeysStart: string, waitMs: number], null>(
  new URL('./await-others.lua', import.meta.url),
);

const createLockCommands = (connection: RedisConnection, keys: Keys, name: string) => {
  const active = keys.laneJobs(name, 'active');
  const marks = keys.laneJobs(name, 'stalled');
  const jobKeysStart = keys.laneJob(name, '');
  return {
    renew: (jobIds: string[], tokens: string[], durationMs: number) =>
      renewLocks(
        connection,
        [active, marks],
        [jobKeysStart, durationMs, ...jobIds.flatMap((id, i) => [id, tokens[i] ?? ''])],
      ),
    limitMarks: () => connection.pexpire(marks, marksLastMs),
    awaitOthers: () =>
      awaitOthers(connection, [active, keys.laneJobs(name, 'stalled-check')], [jobKeysStart, awaitOthersMs]),
  };
};

type LockCommands = ReturnType<typeof createLockCommands>;

/** BullMQ's worker, in the four things that it has no options for. */
class SteadyWorker<T> extends Worker<T> {
  readonly #locks: LockCommands;

  constructor(name: string, processor: Processor<T>, options: WorkerOptions, locks: LockCommands) {
    super(name, processor, options);
    this.#locks = locks;
    // Marks from before an outage would let the first check after it take the jobs of all that are not back yet.
    const backend = this.getBackend();
    const check = backend.moveStalledJobsToWait.bind(backend);
    backend.moveStalledJobsToWait = async () => {
      const [stalled] = await Promise.all([check(), afterSending().then(locks.limitMarks)]);
      return stalled;
    };
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
    return this.#locks.renew(jobIds, tokens, durationMs);
  }
}

/** A BullMQ worker with our recovery settings. It starts taking jobs at once. */
export const openWorker = <T>(processor: Processor<T>, options: OpenWorkerOptions): Worker<T> => {
  const { connection, keys, name, concurrency, retry, onError } = options;
  const workerOptions: WorkerOptions = {
    connection,
    prefix: keys.queuePrefix(name),
    skipVersionCheck: true,
    concurrency,
    lockDuration: lockDurationMs,
    lockRenewTime: lockRenewTimeMs,
    stalledInterval: stalledIntervalMs,
    drainDelay: longestBlockSeconds,
    runRetryDelay: retryAfterConnectionErrorMs,
    // A worker that was cut off, or stopped for a while, counts as lost too: what that says of a job is not BullMQ's to tell.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    ...(retry
      ? { settings: { backoffStrategy: (attempt: number) => backoffDelayMs(retry, attempt, Math.random()) } }
      : {}),
  };
  const locks = createLockCommands(connection, keys, name);
  const worker = new SteadyWorker(name, processor, workerOptions, locks);
  worker.on('error', onError);
  const stopListening = onBack(connection, () => {
    if (silenceMs(connection) > harmlessOutageMs) locks.awaitOthers().catch(onError);
  });
  worker.once('closed', stopListening);
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
