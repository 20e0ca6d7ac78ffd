import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTenants, fileKey, type LaneTable } from '@promptmill/core';
import { createDiskStore, type FileStore } from '@promptmill/files';
import {
  type BatchJob,
  type BatchStore,
  connectRedis,
  createBatchCounts,
  createBatchStore,
  createDispatchedRequests,
  createFileRecords,
  createKeys,
  createLaneTurns,
  createResultRecorder,
  openLaneQueues,
} from '@promptmill/queue';
import { loadConfig, noFailPoints } from '@promptmill/runtime';
import { DelayedError, type Job } from 'bullmq';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { newBatch } from '../../../packages/queue/test/new-batch.ts';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { createAddRequests } from '../src/dispatch/add-requests.ts';
import { createDispatchRequests } from '../src/dispatch/dispatch-requests.ts';
import { createPlaces } from '../src/dispatch/places.ts';
import { createRunBatchJob } from '../src/dispatch/run-batch-job.ts';

const { lanes, retry } = loadConfig({ SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' }, { readFile: () => '' });
const prefix = `test-${randomBytes(6).toString('hex')}`;
const keys = createKeys(prefix);
const total = 6;
const windowBytes = 100_000;

let redis: ReturnType<typeof connectRedis>;
let directory: string;
let files: FileStore;
let batches: BatchStore;
let laneQueues: ReturnType<typeof openLaneQueues>;
let configured: Pick<LaneTable, 'lanes' | 'route'>;
let takeStep: ReturnType<typeof createRunBatchJob>;

beforeAll(async () => {
  redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  directory = await mkdtemp(path.join(tmpdir(), 'promptmill-blocked-'));
  files = createDiskStore({ directory });
  batches = createBatchStore(redis, keys);
  laneQueues = openLaneQueues(redis, keys, () => {});
  takeStep = createRunBatchJob({
    batches,
    records: createFileRecords(redis, keys),
    validate: async () => {},
    wakeShards: async () => {},
    dispatch: createDispatchRequests({
      batches,
      counts: createBatchCounts(redis, keys),
      files,
      requests: createDispatchedRequests(redis, keys),
      add: createAddRequests({
        lanes: { ...lanes, route: (model) => configured.route(model) },
        queueOf: laneQueues.of,
        turns: createLaneTurns(redis, keys),
        tenants: createTenants({}),
        retry,
        recorder: createResultRecorder(redis, keys),
      }),
      window: { requests: 1000, bytes: windowBytes },
      onDispatched: () => {},
      passFailPoint: noFailPoints,
    }),
    reconcile: async () => false,
    observe: async () => {},
    stepUp: async () => {},
    lookAtCost: async () => 'open',
    hasCallsInFlight: async () => false,
    wake: async () => {},
    finalize: async () => {},
    retire: async () => {},
    onBlocked: () => {},
    places: createPlaces(0),
    now: Date.now,
  });
});

beforeEach(() => {
  configured = lanes;
});

afterAll(async () => {
  await laneQueues.close();
  await deleteKeys(redis, prefix);
  await redis.quit();
  await rm(directory, { recursive: true });
});

const lineOf = (index: number, model = 'simulator/echo'): string =>
  `${JSON.stringify({
    custom_id: `c${index}`,
    method: 'POST',
    url: '/v1/completions',
    body: { model, prompt: `Say ${index}` },
  })}\n`;

const input = Array.from({ length: total }, (_, index) => lineOf(index)).join('');

const startBatch = async (content = input): Promise<{ id: string; inputFileId: string }> => {
  const createdAt = Math.floor(Date.now() / 1000);
  const batch = newBatch({ endpoint: '/v1/completions', createdAt, expiresAt: createdAt + 86_400 });
  const { id, inputFileId } = batch;
  await files.put(fileKey(inputFileId), content);
  await batches.create(batch);
  await batches.transition(id, 'in_progress', Date.now(), { total });
  return { id, inputFileId };
};

const step = async (batchId: string): Promise<void> => {
  const job = { data: { batchId }, progress: 0, updateProgress: async () => {}, moveToDelayed: async () => {} };
  await takeStep(job as unknown as Job<BatchJob>, { isHeld: true }).catch((error: unknown) => {
    if (!(error instanceof DelayedError)) throw error;
  });
};

const seen = async (id: string) => {
  const snapshot = await batches.read(id);
  return { blocked: snapshot?.batch.blocked, dispatched: snapshot?.state.dispatched };
};

test('a lane that is gone from the configuration: the batch says so, and goes on when it is back', async () => {
  const { id } = await startBatch();
  configured = { lanes: [], route: () => undefined };
  await step(id);
  expect(await seen(id)).toEqual({
    blocked: { code: 'no_lane', message: expect.stringContaining('simulator/echo') },
    dispatched: 0,
  });
  configured = lanes;
  await step(id);
  expect(await seen(id)).toEqual({ blocked: undefined, dispatched: total });
});

test.each([
  ['is no JSON any more', `${lineOf(0)}{"custom_id": \n${input}`, 'Line 2 '],
  ['names no model any more', `${lineOf(0)}{"custom_id":"a","url":"/v1/completions","body":{}}\n${input}`, 'Line 2 '],
  ['has ended too soon', lineOf(0), 'has ended'],
  ['is gone', undefined, 'is gone'],
])('an input that %s: the batch says so, and goes on when it is restored', async (_, content, says) => {
  const { id, inputFileId } = await startBatch();
  if (content === undefined) await files.delete(fileKey(inputFileId));
  else await files.put(fileKey(inputFileId), content);
  await step(id);
  expect((await seen(id)).blocked).toEqual({ code: 'input_changed', message: expect.stringContaining(says) });
  await files.put(fileKey(inputFileId), input);
  await step(id);
  expect(await seen(id)).toEqual({ blocked: undefined, dispatched: total });
});

test('dispatch does not remove the reason why results cannot be written', async () => {
  const { id } = await startBatch();
  const full = { code: 'no_space', message: 'The file store is full.' };
  await batches.block(id, full);
  await step(id);
  expect(await seen(id)).toEqual({ blocked: full, dispatched: total });
});

test("uncollected results of a batch stop its own dispatch, and no other batch's", async () => {
  const [slow, other] = [await startBatch(), await startBatch()];
  await redis.hset(keys.batch(slow.id), { completed: 1, uncollectedBytes: windowBytes });
  const entry = await redis.xadd(keys.results, '*', 'line', 'x'.repeat(windowBytes));
  await step(slow.id);
  await step(other.id);
  expect([(await seen(slow.id)).dispatched, (await seen(other.id)).dispatched]).toEqual([0, total]);
  await redis.xdel(keys.results, entry ?? '');
});

test('when the results of all batches take eight windows, nothing is dispatched', async () => {
  const { id } = await startBatch();
  const entry = await redis.xadd(keys.results, '*', 'line', 'x'.repeat(8 * windowBytes));
  await step(id);
  expect((await seen(id)).dispatched).toBe(0);
  await redis.xdel(keys.results, entry ?? '');
  await step(id);
  expect((await seen(id)).dispatched).toBe(total);
});
