import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  encodeSegmentEntry,
  fileKey,
  jobIdOf,
  noCost,
  noUsage,
  type RequestJob,
  resultLine,
  segmentFolder,
  segmentName,
  createTenants,
} from '@promptmill/core';
import { createDiskStore, type FileStore } from '@promptmill/files';
import {
  type BatchSnapshot,
  type BatchStore,
  connectRedis,
  createBatchCopies,
  createBatchCounts,
  createBatchStore,
  createDispatchedRequests,
  createKeys,
  createLaneTurns,
  createResultRecorder,
  createShards,
  createResultsStream,
  type RecordedResults,
  openLaneQueue,
  openWorker,
} from '@promptmill/queue';
import { createLogger, loadConfig, noFailPoints } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { newBatch } from '../../../packages/queue/test/new-batch.ts';
import { createAddRequests } from '../src/dispatch/add-requests.ts';
import { createDispatchRequests } from '../src/dispatch/dispatch-requests.ts';
import { createFindLostRequests } from '../src/recovery/find-lost-requests.ts';
import { createReconcileBatch } from '../src/recovery/reconcile-batch.ts';
import { createRecountResults } from '../src/recovery/recount-results.ts';
import { createRestoreResults } from '../src/recovery/restore-results.ts';

const { lanes, retry } = loadConfig({ SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' }, { readFile: () => '' });
const logger = createLogger({ level: 'silent', role: 'api' });
const keys = createKeys(`test-${randomBytes(6).toString('hex')}`);
const lineOf = (index: number): string =>
  `${JSON.stringify({
    custom_id: `c${index}`,
    method: 'POST',
    url: '/v1/completions',
    body: { model: 'simulator/echo', prompt: `Say ${index}` },
  })}\n`;

let redis: ReturnType<typeof connectRedis>;
let directory: string;
let files: FileStore;
let batches: BatchStore;
let lane: Queue<RequestJob>;
let nowMs: number;
let connections: number;
let looks: number;

beforeAll(async () => {
  redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  directory = await mkdtemp(path.join(tmpdir(), 'promptmill-reconcile-'));
  files = createDiskStore({ directory });
  batches = createBatchStore(redis, keys);
  lane = openLaneQueue(redis, keys, 'simulator');
});

beforeEach(async () => {
  await lane.obliterate({ force: true });
  nowMs = Date.now();
  connections = 1;
  looks = 0;
});

afterAll(async () => {
  await lane.obliterate({ force: true });
  await lane.close();
  await redis.quit();
  await rm(directory, { recursive: true });
});

const open = (window = 1000) => {
  const requests = createDispatchedRequests(redis, keys);
  const recorder = createResultRecorder(redis, keys);
  const copies = createBatchCopies(redis, keys);
  const queueOf = () => lane;
  const add = createAddRequests({
    lanes,
    queueOf,
    turns: createLaneTurns(redis, keys),
    tenants: createTenants({}),
    retry,
    recorder,
  });
  const findLost = createFindLostRequests({ lanes, queueOf, requests });
  const dispatch = createDispatchRequests({
    batches,
    counts: createBatchCounts(redis, keys),
    files,
    requests,
    add,
    window: { requests: window, bytes: 1e9 },
    onDispatched: () => {},
    passFailPoint: noFailPoints,
  });
  const reconcile = createReconcileBatch({
    batches,
    requests,
    files,
    restore: createRestoreResults({
      batches,
      requests,
      recorder,
      copies,
      shards: createShards(redis, keys),
      files,
      lanes,
      logger,
    }),
    recount: createRecountResults({ batches, requests, counts: createBatchCounts(redis, keys), files, logger }),
    findLost: (...of) => {
      looks++;
      return findLost(...of);
    },
    add,
    connections: () => connections,
    logger,
    now: () => nowMs,
  });
  const read = async (id: string): Promise<BatchSnapshot> => {
    const snapshot = await batches.read(id);
    if (!snapshot) throw new Error(`no batch ${id}`);
    return snapshot;
  };
  return {
    recorder,
    findLost,
    read,
    known: async (id: string) => (await read(id)).batch,
    dispatch: async (id: string) => dispatch(await read(id)),
    reconcile: async (id: string) => reconcile(await read(id)),
    reconcileAsSeen: reconcile,
  };
};

const startBatch = async (count: number): Promise<string> => {
  const createdAt = Math.floor(nowMs / 1000);
  const batch = newBatch({ endpoint: '/v1/completions', createdAt, expiresAt: createdAt + 86_400 });
  const { id, inputFileId } = batch;
  await files.put(fileKey(inputFileId), Array.from({ length: count }, (_, index) => lineOf(index)).join(''));
  await batches.create(batch);
  await batches.transition(id, 'in_progress', nowMs, { total: count });
  return id;
};

/** Flex has given the second answer. */
const isFlex = (index: number): boolean => index === 1;

const answer = (id: string, index: number): string =>
  resultLine(
    { batchId: id, index, customId: `c${index}` },
    {
      kind: 'response',
      statusCode: 200,
      requestId: 'req_1',
      json: '{"usage":{"prompt_tokens":2,"completion_tokens":3}}',
    },
    isFlex(index) ? { tier: { tier: 'flex' } } : {},
  );

/** The cost of the fourth is not known. */
const nanoUsdOf = (index: number): number | undefined => (index === 3 ? undefined : 10 + index);

/** As a collector leaves it that dies before it takes the results off the stream. */
const writeSegment = async (id: string, indexes: readonly number[]): Promise<string> => {
  const entries = indexes.map((index) => ({
    index,
    status: 'completed' as const,
    bytes: 10,
    nanoUsd: nanoUsdOf(index),
    line: answer(id, index),
  }));
  const content = entries.map(encodeSegmentEntry).join('');
  const name = segmentName({ first: 0, last: 999 }, crc32(content), randomBytes(6).toString('hex'));
  await files.put(segmentFolder(id) + name, content);
  return name;
};

/** All that is on the stream. */
const readStream = async (): Promise<RecordedResults[]> => {
  const stream = createResultsStream({ redis, blocking: redis, keys, consumer: 'test' });
  await stream.ensureGroup();
  return stream.read(10_000, 1);
};

const commit = (id: string, name: string, results: readonly RecordedResults[]) =>
  createResultsStream({ redis, blocking: redis, keys, consumer: 'test' }).commit(id, name, results);

const states = (id: string, indexes: readonly number[]): Promise<string[]> =>
  Promise.all(indexes.map((index) => lane.getJobState(jobIdOf(id, index))));

const removeJob = async (id: string, index: number): Promise<void> => {
  await (await lane.getJob(jobIdOf(id, index)))?.remove();
};

const takeJobs = (process: (jobId: string | undefined) => Promise<void>) =>
  openWorker<RequestJob>(async (job) => process(job.id), {
    connection: redis,
    keys,
    name: lane.name,
    concurrency: 9,
    onError: () => {},
  });

test('a request that has neither result nor job gets a job again, and only such a one', async () => {
  const { dispatch, reconcile, recorder, known } = open();
  const id = await startBatch(700);
  await dispatch(id);
  await recorder.record({ batchId: id, index: 1, bytes: 9 }, 'completed', answer(id, 1), noUsage);
  for (const index of [0, 1, 350, 699]) await removeJob(id, index);
  await reconcile(id);
  expect(await states(id, [0, 1, 2, 350, 699])).toEqual([
    'prioritized',
    'unknown',
    'prioritized',
    'prioritized',
    'prioritized',
  ]);
  expect((await lane.getJob(jobIdOf(id, 350)))?.data).toMatchObject({ customId: 'c350', body: { prompt: 'Say 350' } });
  expect(await known(id)).toMatchObject({ total: 700, completed: 1, failed: 0 });
});

test('a lost request that is no longer in the input blocks the batch', async () => {
  const { dispatch, reconcile, known } = open();
  const id = await startBatch(3);
  await dispatch(id);
  await removeJob(id, 0);
  await removeJob(id, 2);
  await files.put(fileKey((await known(id)).inputFileId), lineOf(0));
  await expect(reconcile(id)).rejects.toMatchObject({ code: 'input_changed' });
  expect(await states(id, [0, 2])).toEqual(['unknown', 'unknown']);
});

test('a request that gets its result while it is looked at is not lost', async () => {
  const { dispatch, findLost, recorder } = open();
  const id = await startBatch(2);
  await dispatch(id);
  const worker = takeJobs(async (jobId) => {
    const index = Number(jobId?.split('-').at(-1));
    if (index === 0) await recorder.record({ batchId: id, index, bytes: 9 }, 'completed', answer(id, 0), noUsage);
  });
  while (!(await states(id, [0, 1])).every((state) => state === 'completed')) await nextTurn();
  await worker.close();
  // Neither had a result when the look began.
  expect(await findLost(id, [0, 1], [lane.name])).toEqual([1]);
  expect(await states(id, [0, 1])).toEqual(['completed', 'unknown']);
});

test('a job that has ended without a result is removed first: it would keep the new one out', async () => {
  const { dispatch, reconcile } = open();
  const id = await startBatch(3);
  await dispatch(id);
  const worker = takeJobs(async () => {});
  while (!(await states(id, [0, 1, 2])).every((state) => state === 'completed')) await nextTurn();
  await worker.close();
  await reconcile(id);
  expect(await states(id, [0, 1, 2])).toEqual(['prioritized', 'prioritized', 'prioritized']);
});

test('results that segments hold and Redis has lost are recorded again, once', async () => {
  const { dispatch, reconcile, recorder, known } = open();
  const id = await startBatch(10);
  await dispatch(id);
  await recorder.record({ batchId: id, index: 2, bytes: 9 }, 'completed', answer(id, 2), noUsage);
  await writeSegment(id, [1, 2, 3]);
  await writeSegment(id, [3, 4]);
  await reconcile(id);
  expect(await known(id)).toMatchObject({
    completed: 4,
    failed: 0,
    usage: { inputTokens: 6, outputTokens: 9 },
    cost: { ...noCost, spentNanoUsd: 11 + 14, unpriced: 1 },
    flex: { answers: 1, nanoUsd: 11 },
  });
  connections++;
  await reconcile(id);
  expect(await known(id)).toMatchObject({ completed: 4, failed: 0 });
});

test('a torn segment does not keep other results from being restored', async () => {
  const { dispatch, reconcile, known } = open();
  const id = await startBatch(10);
  await dispatch(id);
  const entries = [0, 1].map((index) => ({ index, status: 'failed' as const, bytes: 10, line: answer(id, index) }));
  const cut = entries.map(encodeSegmentEntry).join('').slice(0, -9);
  await files.put(segmentFolder(id) + segmentName({ first: 0, last: 1 }, crc32('whole'), 'aaaa'), cut);
  await writeSegment(id, [5]);
  await reconcile(id);
  expect(await known(id)).toMatchObject({ completed: 1, failed: 0 });
});

/** The effects of a script that Redis has when its append-only file ended within them. */
const halves: readonly [what: string, apply: (id: string) => Promise<unknown>][] = [
  ['a bit and no count', (id) => redis.setbit(keys.settledBits(id), 7, 1)],
  [
    'a bit and a count, and no result',
    async (id) => [await redis.setbit(keys.settledBits(id), 7, 1), await redis.hincrby(keys.batch(id), 'completed', 1)],
  ],
  [
    'a result counted twice, with its cost',
    async (id) => [
      await redis.hincrby(keys.batch(id), 'completed', 1),
      await redis.hincrby(keys.batch(id), 'spentNanoUsd', 10),
    ],
  ],
  ['results collected twice', (id) => redis.hincrby(keys.batch(id), 'collected', 5)],
  [
    'results taken off the stream and not collected',
    async (id) => [await redis.hset(keys.batch(id), 'collected', 0), await redis.del(keys.segments(id))],
  ],
];

/** Five of ten requests are answered and in a segment. */
const startHalf = async ({ dispatch, recorder }: ReturnType<typeof open>): Promise<string> => {
  await redis.del(keys.results);
  const id = await startBatch(10);
  await dispatch(id);
  const indexes = [0, 1, 2, 3, 4];
  const usage = { ...noUsage, inputTokens: 2, outputTokens: 3 };
  for (const index of indexes) {
    const cost = { nanoUsd: nanoUsdOf(index), inputCharacters: 1, isFlex: isFlex(index) };
    const charge = { tenant: 'acme', model: 'simulator/echo', ...cost };
    await recorder.record({ batchId: id, index, bytes: 10 }, 'completed', answer(id, index), usage, charge);
  }
  await commit(id, await writeSegment(id, indexes), await readStream());
  return id;
};

const half = {
  completed: 5,
  failed: 0,
  usage: { ...noUsage, inputTokens: 10, outputTokens: 15 },
  cost: { ...noCost, spentNanoUsd: 10 + 11 + 12 + 14, unpriced: 1 },
};

test.each(halves)('of half a script, %s: the batch is counted again, and what has no result runs', async (_, apply) => {
  const opened = open();
  const id = await startHalf(opened);
  await removeJob(id, 7);
  await opened.reconcile(id);
  const right = await batches.dispatchState(id);
  expect(right).toMatchObject({ collected: 5, uncollected: 0, outstanding: 5 });

  await apply(id);
  await removeJob(id, 7);
  connections++;
  await opened.reconcile(id);
  expect(await opened.known(id)).toMatchObject(half);
  expect(await batches.dispatchState(id)).toEqual(right);
  expect(await batches.segments(id)).toHaveLength(1);
  expect(await states(id, [0, 7, 9])).toEqual(['prioritized', 'prioritized', 'prioritized']);
});

test('it is counted again when no result comes, without a new connection too, and when it is sealed', async () => {
  const opened = open();
  const id = await startHalf(opened);
  await opened.reconcile(id);
  await batches.transition(id, 'cancelling', nowMs, { stopping: 'cancelled' });
  await batches.seal(id, 10);
  await redis.hincrby(keys.batch(id), 'completed', 1);
  await opened.reconcile(id);
  expect(await batches.dispatchState(id)).toMatchObject({ ready: false });
  nowMs += 5000;
  await opened.reconcile(id);
  expect(await batches.dispatchState(id)).toMatchObject({ ready: true });
});

test('it is not counted again while a result is on its way, or a listed segment cannot be read', async () => {
  const opened = open();
  const id = await startHalf(opened);
  await opened.recorder.record({ batchId: id, index: 9, bytes: 10 }, 'failed', answer(id, 9), noUsage);
  await redis.hincrby(keys.batch(id), 'completed', 1);
  await opened.reconcile(id);
  expect(await opened.known(id)).toMatchObject({ completed: 6, failed: 1 });

  await redis.del(keys.results);
  await files.deletePrefix(segmentFolder(id));
  connections++;
  await opened.reconcile(id);
  expect(await opened.known(id)).toMatchObject({ completed: 6, failed: 1 });
});

test('one that ends meanwhile keeps its counts, which include the requests that never ran', async () => {
  const opened = open();
  const id = await startHalf(opened);
  const seenBefore = await opened.read(id);
  await batches.transition(id, 'cancelling', nowMs, { stopping: 'cancelled' });
  await batches.seal(id, 10);
  await batches.transition(id, 'cancelled', nowMs, { completed: 5, failed: 5 });
  await opened.reconcileAsSeen(seenBefore);
  expect(await opened.known(id)).toMatchObject({ status: 'cancelled', completed: 5, failed: 5 });
});

test('requests answered beyond a lost cursor are not dispatched again, and the window holds', async () => {
  const { dispatch, reconcile, known } = open(6);
  const id = await startBatch(20);
  await writeSegment(id, [1, 16, 17, 18, 19]);
  await reconcile(id);
  expect(await known(id)).toMatchObject({ completed: 5 });
  await dispatch(id);
  expect(await states(id, [0, 1, 2, 6, 7])).toEqual([
    'prioritized',
    'unknown',
    'prioritized',
    'prioritized',
    'unknown',
  ]);
});

test('it looks after each connection and, less and less often, when no result comes; otherwise never', async () => {
  const { dispatch, reconcile, recorder } = open();
  const id = await startBatch(10);
  await dispatch(id);
  const after = async (ms: number): Promise<number> => {
    nowMs += ms;
    await reconcile(id);
    return looks;
  };
  expect(await after(0)).toBe(1);
  for (let index = 0; index < 5; index++) {
    await recorder.record({ batchId: id, index, bytes: 9 }, 'completed', answer(id, index), noUsage);
    expect(await after(4000)).toBe(1);
  }
  expect(await after(4999)).toBe(1);
  expect(await after(1)).toBe(2);
  expect(await after(9999)).toBe(2);
  expect(await after(1)).toBe(3);
  connections++;
  expect(await after(0)).toBe(4);
});

test('nothing is dispatched while a window of results waits for a collector', async () => {
  const { dispatch, recorder } = open(10);
  const id = await startBatch(2000);
  const dispatched = async (): Promise<number> => {
    await dispatch(id);
    return (await batches.dispatchState(id)).dispatched;
  };
  const before = await dispatched();
  for (let index = 0; index < 10; index++)
    await recorder.record({ batchId: id, index, bytes: 1000 }, 'completed', '{}', noUsage);
  expect(await dispatched()).toBe(before);

  await commit(id, 'a segment', await readStream());
  expect(await dispatched()).toBeGreaterThan(before);
});
