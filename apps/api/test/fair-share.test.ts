import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTenants, fileKey, noUsage, type RequestJob } from '@promptmill/core';
import { createDiskStore, type FileStore } from '@promptmill/files';
import {
  type BatchStore,
  createBatchCounts,
  createBatchStore,
  createDispatchedRequests,
  createLaneTurns,
  createResultRecorder,
  finishedRequestJobs,
  openLaneQueue,
  type ResultRecorder,
} from '@promptmill/queue';
import { loadConfig, noFailPoints } from '@promptmill/runtime';
import { type Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newBatch } from '../../../packages/queue/test/new-batch.ts';
import { openRedisSpace, type RedisSpace } from '../../../packages/queue/test/redis-space.ts';
import { createAddRequests } from '../src/dispatch/add-requests.ts';
import { createDispatchRequests } from '../src/dispatch/dispatch-requests.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

const { lanes, retry } = loadConfig({ SIMULATOR_BASE_URL: 'http://127.0.0.1:1/v1' }, { readFile: () => '' });
const lane = 'simulator';
const window = 200;

let space: RedisSpace;
let directory: string;
let files: FileStore;
let batches: BatchStore;
let recorder: ResultRecorder;
let queue: Queue<RequestJob>;
let worker: Worker<RequestJob>;
let dispatch: ReturnType<typeof createDispatchRequests>;
const tenantOf = new Map<string, string>();

beforeEach(async () => {
  space = openRedisSpace();
  directory = await mkdtemp(path.join(tmpdir(), 'promptmill-fair-share-'));
  files = createDiskStore({ directory });
  batches = createBatchStore(space.redis, space.keys);
  recorder = createResultRecorder(space.redis, space.keys);
  queue = space.keep(openLaneQueue(space.redis, space.keys, lane));
  worker = space.keep(
    new Worker<RequestJob>(lane, null, {
      connection: space.redis,
      prefix: space.keys.queuePrefix(lane),
      ...finishedRequestJobs,
    }),
  );
  dispatch = dispatchWith(window);
});

const dispatchWith = (windowRequests: number) =>
  createDispatchRequests({
    batches,
    counts: createBatchCounts(space.redis, space.keys),
    files,
    requests: createDispatchedRequests(space.redis, space.keys),
    add: createAddRequests({
      lanes,
      queueOf: () => queue,
      turns: createLaneTurns(space.redis, space.keys),
      tenants: createTenants({}),
      retry,
      recorder,
    }),
    window: { requests: windowRequests, bytes: 1e9 },
    onDispatched: () => {},
    passFailPoint: noFailPoints,
  });

afterEach(async () => {
  await space.close();
  await rm(directory, { recursive: true });
});

const startBatch = async (tenant: string, total: number): Promise<string> => {
  const batch = newBatch({ tenant, endpoint: '/v1/completions' });
  const line = (index: number): string =>
    `${JSON.stringify({ custom_id: `c${index}`, method: 'POST', url: '/v1/completions', body: { model: 'simulator/echo', prompt: 'Hi' } })}\n`;
  await files.put(fileKey(batch.inputFileId), Array.from({ length: total }, (_, index) => line(index)).join(''));
  await batches.create(batch);
  await batches.transition(batch.id, 'in_progress', Date.now(), { total });
  tenantOf.set(batch.id, tenant);
  return batch.id;
};

/** What each batch's job does again and again, with a collector that has taken all results. */
const dispatchAll = async (ids: readonly string[]): Promise<void> => {
  for (const id of ids) {
    const snapshot = await batches.read(id);
    if (!snapshot) continue;
    const { batch, state } = snapshot;
    await dispatch({ batch, state: { ...state, uncollected: 0, uncollectedBytes: 0 } });
  }
};

/** Takes the lane's next requests, as workers do, and records their results. */
const take = async (count: number): Promise<string[]> => {
  const taken: string[] = [];
  while (taken.length < count) {
    const job = await worker.getNextJob('token', { block: false });
    if (!job) break;
    const { batchId, index, bytes } = job.data;
    await recorder.record({ batchId, index, bytes }, 'completed', '{}', noUsage);
    await job.moveToCompleted('done', 'token', false);
    taken.push(batchId);
  }
  return taken;
};

/** Counts the requests of each tenant. */
const countBy = (taken: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const id of taken) counts[tenantOf.get(id) ?? ''] = (counts[tenantOf.get(id) ?? ''] ?? 0) + 1;
  return counts;
};

test.runIf(inLongForm)(
  'three tenants with 1, 10 and 100 batches get equal shares of a lane, and no more of Redis',
  async () => {
    const ids: string[] = [];
    for (const [tenant, count, total] of [
      ['hundred', 100, 300],
      ['ten', 10, 3000],
      ['one', 1, 3000],
    ] as const)
      for (let i = 0; i < count; i++) ids.push(await startBatch(tenant, total));
    await dispatchAll(ids);
    const jobs = await queue.getJobs(['prioritized'], 0, 10_000);
    const outstanding = countBy(jobs.map(({ data }) => data.batchId));
    const taken: string[] = [];
    for (let round = 0; round < 10; round++) {
      taken.push(...(await take(150)));
      await dispatchAll(ids);
    }
    expect(outstanding['one']).toBe(window);
    // Each batch may have 50, however many there are, and what it was given while there were fewer.
    expect(outstanding['hundred']).toBeLessThan(100 * 50 + 5 * window);
    const counts = countBy(taken);
    for (const tenant of ['hundred', 'ten', 'one']) {
      expect(counts[tenant]).toBeGreaterThan(500 * 0.95);
      expect(counts[tenant]).toBeLessThan(500 * 1.05);
    }
  },
);

test('a small batch of a tenant with a large one is done soon, and another tenant has its share meanwhile', async () => {
  const large = await startBatch('acme', 3000);
  const other = await startBatch('umbrella', 3000);
  const ids = [large, other];
  await dispatchAll(ids);
  await take(100);
  await dispatchAll(ids);
  const small = await startBatch('acme', 10);
  await dispatchAll([...ids, small]);
  const taken = await take(100);
  expect(taken.filter((id) => id === small)).toHaveLength(10);
  expect(countBy(taken)['umbrella']).toBeGreaterThanOrEqual(40);
});

test('batches that come late go on beside the large one that stands in line, each with a small part of the window', async () => {
  dispatch = dispatchWith(2400);
  const large = await startBatch('acme', 3000);
  await dispatchAll([large]);
  const late = [await startBatch('acme', 600), await startBatch('acme', 600)];
  const taken: string[] = [];
  for (let round = 0; round < 12; round++) {
    await dispatchAll([large, ...late]);
    taken.push(...(await take(100)));
  }
  const doneOf = (id: string): number => taken.filter((other) => other === id).length;
  expect(doneOf(large)).toBeLessThan(1200 * 0.7);
  for (const id of late) {
    expect(doneOf(id)).toBeGreaterThan(50);
    expect((await batches.dispatchState(id)).dispatched - doneOf(id)).toBeLessThanOrEqual(300);
  }
});
