import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { newBatchId, newFileId, noUsage, type RequestJob } from '@promptmill/core';
import {
  type BatchJob,
  type BatchStore,
  connectRedis,
  createBatchStore,
  createFileRecords,
  createKeys,
  createResultRecorder,
  openLaneQueue,
  openWorker,
  readJobsInWork,
  type ResultRecorder,
} from '@promptmill/queue';
import { DelayedError, type Job, type JobProgress, type Queue } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { createFindCallsInFlight } from '../src/recovery/find-calls-in-flight.ts';
import { createPlaces } from '../src/dispatch/places.ts';
import { createRunBatchJob, type RunBatchJobOptions } from '../src/dispatch/run-batch-job.ts';

const prefix = `test-${randomBytes(6).toString('hex')}`;
const keys = createKeys(prefix);
const createdAt = 1_795_000_000;
const windowSeconds = 3600;
const total = 3;

let redis: ReturnType<typeof connectRedis>;
let batches: BatchStore;
let recorder: ResultRecorder;
let lane: Queue<RequestJob>;
let nowMs: number;
/** What the steps asked for. */
let asked: string[];
/** What a look at the cost of a held batch finds. */
let cost: Awaited<ReturnType<RunBatchJobOptions['lookAtCost']>> = 'open';
let takeStep: ReturnType<typeof createRunBatchJob>;
/** As {@link takeStep}, but it keeps its place. */
let live: typeof takeStep;

beforeAll(() => {
  redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  batches = createBatchStore(redis, keys);
  recorder = createResultRecorder(redis, keys);
  lane = openLaneQueue(redis, keys, 'simulator');
  const note = (what: string) => async () => {
    asked.push(what);
  };
  const options = {
    batches,
    records: createFileRecords(redis, keys),
    validate: note('validate'),
    dispatch: async () => {
      asked.push('dispatch');
      return { done: true };
    },
    wakeShards: note('wakeShards'),
    reconcile: async () => {
      asked.push('reconcile');
      return false;
    },
    observe: note('observe'),
    stepUp: note('step up'),
    lookAtCost: async () => cost,
    hasCallsInFlight: createFindCallsInFlight((id, lanes) => readJobsInWork(redis, keys, id, lanes)),
    wake: note('wake'),
    finalize: note('finalize'),
    retire: note('retire'),
    onBlocked: () => {},
    // It takes a step and gives its place up.
    places: createPlaces(0),
    now: () => nowMs,
  };
  takeStep = createRunBatchJob(options);
  live = createRunBatchJob({ ...options, places: createPlaces(9) });
});

beforeEach(() => {
  nowMs = createdAt * 1000;
  asked = [];
});

afterAll(async () => {
  await lane.close();
  await deleteKeys(redis, prefix);
  await redis.quit();
});

/** A batch in progress, its requests dispatched. */
const startBatch = async (): Promise<string> => {
  const id = newBatchId();
  await batches.create({
    id,
    tenant: 'acme',
    endpoint: '/v1/chat/completions',
    inputFileId: newFileId(),
    completionWindow: '1h',
    metadata: null,
    outputFileId: newFileId(),
    errorFileId: newFileId(),
    createdAt,
    expiresAt: createdAt + windowSeconds,
  });
  await batches.transition(id, 'in_progress', nowMs, { total });
  const cursor = { dispatched: total, cursorOffset: 300, cursorLine: total + 1, positions: { simulator: total } };
  await batches.advanceCursor(id, 0, cursor);
  return id;
};

/** The job of a batch, as BullMQ gives it again for each step. */
const jobOf = (batchId: string) => {
  const told: JobProgress[] = [];
  let delayMs = 0;
  const job = {
    data: { batchId },
    progress: 0 as JobProgress,
    async updateProgress(progress: JobProgress) {
      this.progress = progress;
      told.push(progress);
    },
    moveToDelayed: async (atMs: number) => {
      delayMs = atMs - Date.now();
    },
  };
  return { job: job as unknown as Job<BatchJob>, told, delayMs: () => delayMs };
};

/** Takes a step, and says in how many milliseconds the next is to be. */
const step = async (batchId: string, { job, delayMs } = jobOf(batchId)): Promise<number | undefined> => {
  try {
    await takeStep(job, { isHeld: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof DelayedError)) throw error;
    return Math.round(delayMs() / 100) * 100;
  }
};

/** A worker that has a request of the batch in work until it is told to end. */
const putInWork = async (batchId: string): Promise<{ end: () => Promise<void> }> => {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const worker = openWorker<RequestJob>(
    async () => {
      begun.resolve();
      await ended.promise;
    },
    { connection: redis, keys, name: 'simulator', concurrency: 1, onError: () => {} },
  );
  await lane.add('request', {} as RequestJob, { jobId: `${batchId}-0` });
  await begun.promise;
  return {
    async end() {
      ended.resolve();
      await worker.close();
    },
  };
};

const stateOf = (id: string) => batches.dispatchState(id);

test('a batch is dispatched until it is paused, and again when it goes on', async () => {
  const id = await startBatch();
  expect(await step(id)).toBe(1000);
  expect(asked).toEqual(['reconcile', 'dispatch', 'observe', 'step up']);
  asked = [];
  await batches.pause(id, nowMs);
  expect(await step(id)).toBe(1000);
  expect(asked).toEqual(['observe']);
  await batches.resume(id);
  await step(id);
  expect(asked).toContain('dispatch');
});

test.each(['runs', 'is paused'])('a batch that %s expires when its window is over, not before', async (how) => {
  const id = await startBatch();
  if (how === 'is paused') await batches.pause(id, nowMs);
  await recorder.record({ batchId: id, index: 1, bytes: 100 }, 'completed', '{}', noUsage);
  nowMs = (createdAt + windowSeconds) * 1000 - 1;
  await step(id);
  expect((await stateOf(id)).stopping).toBeUndefined();
  nowMs++;
  expect(await step(id)).toBe(100);
  expect(await stateOf(id)).toMatchObject({ stopping: 'expired', stoppedAt: createdAt + windowSeconds });
  await step(id);
  expect(await stateOf(id)).toMatchObject({ sealed: true, ready: false });
  expect(await batches.get(id)).toMatchObject({ completed: 1, total });
});

test('a batch that is cancelled is sealed as soon as none of its requests is in work', async () => {
  const [id, other] = [await startBatch(), await startBatch()];
  const work = await putInWork(id);
  for (const each of [id, other]) await batches.transition(each, 'cancelling', nowMs, { stopping: 'cancelled' });
  await step(other);
  expect(await stateOf(other)).toMatchObject({ sealed: true });
  nowMs += 9000;
  expect(await step(id)).toBe(100);
  expect(await stateOf(id)).toMatchObject({ sealed: false });
  await work.end();
  await step(id);
  expect(await stateOf(id)).toMatchObject({ sealed: true });
});

test('a call in flight has ten seconds from the stop, even when the batch was stopped late', async () => {
  const id = await startBatch();
  const work = await putInWork(id);
  nowMs = (createdAt + 10 * windowSeconds) * 1000;
  await step(id);
  nowMs += 9000;
  await step(id);
  expect(await stateOf(id)).toMatchObject({ stopping: 'expired', sealed: false });
  nowMs += 1000;
  await step(id);
  expect(await stateOf(id)).toMatchObject({ sealed: true });
  await work.end();
});

test('a paused batch looks by itself ever less often, once a minute at least, and at its deadline', async () => {
  const id = await startBatch();
  await batches.pause(id, nowMs);
  const rests = [];
  for (const pausedForMs of [0, 4000, 20_000, 600_000, windowSeconds * 1000 - 5000]) {
    nowMs = createdAt * 1000 + pausedForMs;
    rests.push(await step(id));
  }
  expect(rests).toEqual([1000, 2000, 10_000, 60_000, 5000]);
  expect(asked).not.toContain('wake');
});

test.each(['resumed', 'cancelled'])('a batch that is %s while its job goes to rest is woken', async (how) => {
  const id = await startBatch();
  await batches.pause(id, nowMs);
  const { job } = jobOf(id);
  job.moveToDelayed = async () => {
    if (how === 'resumed') await batches.resume(id);
    else await batches.transition(id, 'cancelling', nowMs, { stopping: 'cancelled' });
  };
  await step(id, { job, told: [], delayMs: () => 0 });
  expect(asked).toEqual(['observe', 'wake']);
});

test('blocked batches look once a second, and all together 100 times', async () => {
  const ids = await Promise.all(Array.from({ length: 150 }, startBatch));
  const rests = [];
  for (const id of ids) {
    await batches.block(id, { code: 'no_space', message: 'The file store is full.' });
    rests.push(await step(id));
  }
  expect([rests[0], rests[50], rests.at(-1)]).toEqual([1000, 1500, 2500]);
});

test('a paused batch that has all of its results is finalized', async () => {
  const id = await startBatch();
  await batches.pause(id, nowMs);
  await redis.hset(keys.batch(id), { completed: total, collected: total });
  await step(id);
  expect(asked).toEqual(['finalize']);
});

test('a step reads the record once', async () => {
  const id = await startBatch();
  const read = vi.spyOn(redis, 'hgetall');
  await step(id);
  expect(read).toHaveBeenCalledTimes(1);
  read.mockRestore();
});

test('progress is shown when it has changed, not at every step', async () => {
  const id = await startBatch();
  const job = jobOf(id);
  await step(id, job);
  await step(id, job);
  expect(job.told).toHaveLength(1);
  await recorder.record({ batchId: id, index: 1, bytes: 100 }, 'completed', '{}', noUsage);
  await step(id, job);
  expect(job.told).toEqual([expect.anything(), expect.objectContaining({ completed: 1 })]);
});

test('a batch that another process has taken stays there', async () => {
  const id = await startBatch();
  const { job, delayMs } = jobOf(id);
  const lock = { isHeld: true };
  const ended = live(job, lock);
  while (!asked.includes('observe')) await nextTurn();
  lock.isHeld = false;
  await expect(ended).rejects.toBeInstanceOf(DelayedError);
  expect(delayMs()).toBe(0);
});

describe('a batch that a limit of its cost holds', () => {
  const hold = async (limit: string): Promise<string> => {
    const id = await startBatch();
    await redis.hset(keys.batch(id), 'costHeld', limit);
    return id;
  };

  test('adds nothing, and looks again soon while calls in flight may leave money', async () => {
    const id = await hold('max_cost');
    cost = 'calls in flight';
    expect(await step(id)).toBe(100);
    cost = 'open';
    expect(await step(id)).toBe(0);
    expect(asked).toEqual([]);
  });

  test('rests like a paused one when it has reached its max_cost', async () => {
    const id = await hold('max_cost');
    cost = 'reached';
    await batches.noteCostReached(id, { at: createdAt, reason: '' });
    nowMs += 40_000;
    expect(await step(id)).toBe(20_000);
    expect(asked).toEqual([]);
  });

  test('looks once a second whether its tenant’s limit is open again', async () => {
    const id = await hold('usdPerDay');
    cost = 'reached';
    await batches.noteCostReached(id, { at: createdAt, reason: '' });
    nowMs += 400_000;
    expect(await step(id)).toBe(1000);
  });

  test('is woken when it may go on by the time it rests', async () => {
    const id = await hold('max_cost');
    cost = 'reached';
    await batches.noteCostReached(id, { at: createdAt, reason: '' });
    const { job, delayMs } = jobOf(id);
    const moved = job.moveToDelayed.bind(job);
    job.moveToDelayed = async (...to) => {
      await batches.resume(id, 9);
      return moved(...to);
    };
    await step(id, { job, told: [], delayMs });
    expect(asked).toEqual(['wake']);
  });
});
