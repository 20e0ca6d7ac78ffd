import { newBatchId, newLiveCallId, type RequestJob } from '@promptmill/core';
import { type Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLaneTurns, type LaneTurns, openLaneQueue, toLaneJob } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const retry = { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 };
const lane = 'simulator';
const share = 0.9;

let space: RedisSpace;
let queue: Queue<RequestJob>;
/** Takes jobs one by one, when the test says so. */
let worker: Worker<RequestJob>;
let turns: LaneTurns;

beforeEach(() => {
  space = openRedisSpace();
  queue = openLaneQueue(space.redis, space.keys, lane);
  worker = new Worker<RequestJob>(lane, null, { connection: space.redis, prefix: space.keys.queuePrefix(lane) });
  turns = createLaneTurns(space.redis, space.keys);
});

afterEach(async () => {
  await worker.close();
  await queue.close();
  await space.close();
});

const requestJob = (tenant: string, batchId: string, index: number, live?: RequestJob['live']): RequestJob => ({
  tenant,
  batchId,
  index,
  customId: `request-${index}`,
  url: '/v1/chat/completions',
  body: { model: 'echo' },
  bytes: 100,
  ...(live ? { live } : {}),
});

const add = (jobs: readonly RequestJob[], positions: readonly number[]) =>
  queue.addBulk(jobs.map((job, i) => toLaneJob(job, positions[i] ?? 0, retry)));

const addBatch = async (tenant: string, requests: number, weight = 1): Promise<void> => {
  const batchId = newBatchId();
  const { positions } = await turns.take(lane, { tenant, weight, batchId, isNew: true }, requests);
  await add(
    positions.map((_, i) => requestJob(tenant, batchId, i)),
    positions,
  );
};

const addLive = async (tenant: string, calls: number, { weight = 1, liveShare = share } = {}): Promise<void> => {
  const positions = await turns.takeLive(lane, { tenant, weight, share: liveShare }, calls);
  await add(
    positions.map(() =>
      requestJob(tenant, newLiveCallId(), 0, { api: 'api', deadlineMs: Date.now() + 60_000, isKept: false }),
    ),
    positions,
  );
};

/** Takes and finishes up to `count` jobs. Gives the tenant of each live call, and `batch` for each batch request. */
const take = async (count: number): Promise<string[]> => {
  const taken: string[] = [];
  while (taken.length < count) {
    const job = await worker.getNextJob('token', { block: false });
    if (!job) break;
    await job.moveToCompleted('done', 'token', false);
    taken.push(job.data.live ? job.data.tenant : 'batch');
  }
  return taken;
};

const countOf = (name: string, taken: readonly string[]): number => taken.filter((each) => each === name).length;

test('live calls go ahead of batch requests that came before', async () => {
  await addBatch('acme', 300);
  await take(57);
  await addLive('acme', 5);
  await addLive('other', 5);
  expect(countOf('batch', await take(10))).toBe(0);
});

test.each([
  ['1 batch', [1], 0.9],
  ['10 tenants with a batch', Array.from({ length: 10 }, () => 1), 0.9],
  ['batches of tenants with other weights', [0.5, 3], 0.9],
  ['a light batch', [0.1], 0.9],
  ['1 batch, and half for live calls', [1], 0.5],
])('while both wait, live calls get their share and the batch goes on: %s', async (_, weights, liveShare) => {
  for (const [i, weight] of weights.entries()) await addBatch(`tenant-${i}`, 800 / weights.length, weight);
  await addLive('live', 2000, { liveShare });
  const taken = await take(1000);
  const lives = countOf('live', taken) / taken.length;
  expect(lives).toBeGreaterThan(liveShare - 0.06);
  expect(lives).toBeLessThan(liveShare + 0.03);
});

test('live calls alone, or batch requests alone, get all', async () => {
  await addLive('live', 50);
  expect(await take(60)).toHaveLength(50);
  await addBatch('acme', 50);
  expect(await take(60)).toHaveLength(50);
  await addLive('live', 50);
  expect(await take(60)).toHaveLength(50);
});

/** Calls that come a few at a time, from several tenants at once. */
const addInTurns = async (
  tenants: Readonly<Record<string, number>>,
  weights: Readonly<Record<string, number>> = {},
) => {
  const left = { ...tenants };
  while (Object.values(left).some((calls) => calls > 0))
    for (const [tenant, calls] of Object.entries(left)) {
      const some = Math.min(20, calls);
      if (some > 0) await addLive(tenant, some, { weight: weights[tenant] ?? 1 });
      left[tenant] = calls - some;
    }
};

test('tenants share equally what live calls get, also when they wait beside a batch', async () => {
  await addBatch('acme', 400);
  await addInTurns({ one: 600, two: 600, three: 600 });
  const taken = await take(1000);
  for (const tenant of ['one', 'two', 'three']) {
    expect(countOf(tenant, taken)).toBeGreaterThan(255);
    expect(countOf(tenant, taken)).toBeLessThan(345);
  }
  expect(countOf('batch', taken)).toBeGreaterThan(80);
});

test('a tenant with a weight of 3 gets three times as much', async () => {
  await addInTurns({ heavy: 600, light: 600 }, { heavy: 3 });
  const taken = await take(400);
  expect(countOf('heavy', taken)).toBeGreaterThan(270);
  expect(countOf('heavy', taken)).toBeLessThan(330);
});

test('a tenant that floods does not hold up the few calls of another, whenever they come', async () => {
  await addBatch('acme', 400);
  await addLive('flood', 3000);
  for (let round = 0; round < 30; round++) {
    await addLive('few', 2);
    // At the beginning, as many of the flood are in the present turn already.
    const most = round === 0 ? 30 : 10;
    expect(countOf('few', await take(most))).toBe(2);
    await take(23);
  }
});

test('two tenants that flood one after another share equally once the first flood is over', async () => {
  await addLive('first', 400);
  await addLive('second', 1200);
  const taken = await take(600);
  expect(countOf('second', taken)).toBeGreaterThanOrEqual(200);
  await addLive('first', 800);
  await take(400);
  const after = await take(300);
  expect(countOf('first', after)).toBeGreaterThan(120);
  expect(countOf('second', after)).toBeGreaterThan(120);
});

test('tenants that have made a few calls take nothing from one that makes many beside a batch', async () => {
  await addBatch('acme', 1000);
  for (let i = 0; i < 50; i++) await addLive(`few-${i}`, 1);
  await addLive('many', 1000);
  expect((await take(50)).every((tenant) => tenant.startsWith('few') || tenant === 'many')).toBe(true);
  expect(countOf('batch', await take(500))).toBeLessThan(125);
});

test('lines from before the lane was idle mean nothing any more', async () => {
  await addLive('live', 500);
  await take(500);
  await addBatch('acme', 100);
  await addLive('live', 5);
  expect(countOf('live', await take(5))).toBe(5);
});
