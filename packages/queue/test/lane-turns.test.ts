import { newBatchId, type RequestJob } from '@promptmill/core';
import { type Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLaneTurns, type LaneTurns, openLaneQueue, toLaneJob } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const retry = { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 };
const lane = 'simulator';

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

const requestJob = (batchId: string, index: number): RequestJob => ({
  tenant: 'acme',
  batchId,
  index,
  customId: `request-${index}`,
  url: '/v1/chat/completions',
  body: { model: 'echo' },
  bytes: 100,
});

/** A batch whose requests are dispatched in chunks, as its dispatcher does it. */
const newBatch = (tenant = 'acme', weight = 1) => {
  const id = newBatchId();
  let dispatched = 0;
  return {
    id,
    async dispatch(count: number): Promise<void> {
      const { positions } = await turns.take(lane, { tenant, weight, batchId: id, isNew: dispatched === 0 }, count);
      await queue.addBulk(positions.map((position, i) => toLaneJob(requestJob(id, dispatched + i), position, retry)));
      dispatched += count;
    },
  };
};

/** The next job, which is then active until it is finished. */
const takeOne = async () => {
  const job = await worker.getNextJob('token', { block: false });
  return (
    job && {
      ...job.data,
      finish: () => job.moveToCompleted('done', 'token', false),
      putBack: () => job.moveToWait('token'),
    }
  );
};

/** Takes and finishes up to `count` jobs. */
const take = async (count: number): Promise<RequestJob[]> => {
  const taken: RequestJob[] = [];
  while (taken.length < count) {
    const job = await takeOne();
    if (!job) break;
    await job.finish();
    taken.push(job);
  }
  return taken;
};

const indexesOf = (batch: { id: string }, jobs: readonly RequestJob[]): number[] =>
  jobs.filter(({ batchId }) => batchId === batch.id).map(({ index }) => index);

const countsOf = (batches: readonly { id: string }[], jobs: readonly RequestJob[]): number[] =>
  batches.map((batch) => indexesOf(batch, jobs).length);

test('tenants share the lane evenly, however many batches each has', async () => {
  const ones = [newBatch('one')];
  const twos = [newBatch('two'), newBatch('two')];
  const fours = Array.from({ length: 4 }, () => newBatch('four'));
  for (const batches of [fours, twos, ones]) for (const batch of batches) await batch.dispatch(400 / batches.length);
  const taken = await take(900);
  const sums = [ones, twos, fours].map((batches) => countsOf(batches, taken).reduce((a, b) => a + b));
  for (const sum of sums) {
    expect(sum).toBeGreaterThanOrEqual(285);
    expect(sum).toBeLessThanOrEqual(315);
  }
});

test('a tenant with a weight of 3 gets three times as much', async () => {
  const [heavy, light] = [newBatch('heavy', 3), newBatch('light')];
  await light.dispatch(300);
  await heavy.dispatch(300);
  expect(countsOf([heavy, light], await take(160))).toEqual([120, 40]);
});

test('a tenant that comes late gets its share from then on, and nothing for the time before', async () => {
  const [early, late] = [newBatch('early'), newBatch('late')];
  await early.dispatch(500);
  await take(200);
  await late.dispatch(300);
  expect(countsOf([early, late], await take(200))).toEqual([100, 100]);
});

test('neither does one that comes while a request with an old position is tried again', async () => {
  const [early, late] = [newBatch('early'), newBatch('late')];
  await early.dispatch(500);
  const old = await takeOne();
  await take(199);
  await early.dispatch(100);
  await old?.putBack();
  await late.dispatch(300);
  expect(countsOf([early, late], await take(201))).toEqual([101, 100]);
});

test('a tenant whose small batches never end gets no more than its share', async () => {
  const other = newBatch('other');
  await other.dispatch(500);
  const taken: RequestJob[] = [];
  for (let round = 0; round < 25; round++) {
    for (let i = 0; i < 8; i++) await newBatch('small').dispatch(1);
    taken.push(...(await take(10)));
  }
  const [others = 0] = countsOf([other], taken);
  expect(others).toBeGreaterThanOrEqual(115);
  expect(others).toBeLessThanOrEqual(135);
});

test('a small batch goes ahead of a large one of the same tenant, which makes up for it later', async () => {
  const [large, small, other] = [newBatch(), newBatch(), newBatch('other')];
  await large.dispatch(100);
  await other.dispatch(300);
  await small.dispatch(10);
  await large.dispatch(100);
  const taken = await take(100);
  expect(indexesOf(small, taken)).toHaveLength(10);
  taken.push(...(await take(140)));
  expect(countsOf([large, small, other], taken)).toEqual([110, 10, 120]);
});

test('small batches that go ahead leave room for the large one', async () => {
  const large = newBatch();
  await large.dispatch(500);
  for (let i = 0; i < 20; i++) await newBatch().dispatch(10);
  const [larges = 0] = countsOf([large], await take(100));
  expect(larges).toBeGreaterThanOrEqual(75);
});

test('batches that come while a large one stands in line share half of what their tenant is due', async () => {
  const [large, middle, small, other] = [newBatch(), newBatch(), newBatch(), newBatch('other')];
  await large.dispatch(800);
  await other.dispatch(1300);
  const taken = await take(40);
  await middle.dispatch(50);
  await middle.dispatch(150);
  taken.push(...(await take(460)));
  await small.dispatch(10);
  taken.push(...(await take(100)));
  expect(indexesOf(small, taken)).toHaveLength(10);
  const later = await take(250);
  expect(countsOf([large, middle, other], later)).toEqual([100, 50, 100]);
  taken.push(...later);
  // The end of the line has moved on for them, so where the tenant's last request stands it has got its share.
  await large.dispatch(200);
  taken.push(...(await take(2420 - taken.length)));
  expect(countsOf([other], taken)).toEqual([1210]);
});

test('a batch’s own requests are taken in order, however its chunks and others’ fall', async () => {
  const large = newBatch();
  const small = newBatch();
  const taken: RequestJob[] = [];
  await large.dispatch(120);
  taken.push(...(await take(35)));
  await small.dispatch(15);
  await large.dispatch(80);
  taken.push(...(await take(60)));
  await small.dispatch(25);
  await large.dispatch(50);
  taken.push(...(await take(1000)));
  expect(indexesOf(large, taken)).toEqual(Array.from({ length: 250 }, (_, i) => i));
  expect(indexesOf(small, taken)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

test('while jobs are active the lane’s turn goes on; an idle lane starts again at 0', async () => {
  const next = async () =>
    (await turns.take(lane, { tenant: 'late', batchId: newBatchId(), isNew: true }, 1)).positions;
  const batch = newBatch();
  await batch.dispatch(40);
  await take(39);
  const last = await takeOne();
  expect(await next()).toEqual([40]);
  expect(await next()).toEqual([41]);
  await last?.finish();
  expect(await next()).toEqual([0]);
});

test('says how many batches of the tenant have requests in the lane', async () => {
  const batchesIn = async (tenant: string, batchId = newBatchId()) =>
    (await turns.take(lane, { tenant, batchId, isNew: true }, 1)).batches;
  await newBatch('other').dispatch(5);
  await newBatch().dispatch(5);
  const long = newBatch();
  await long.dispatch(200);
  expect([await batchesIn('acme', long.id), await batchesIn('acme'), await batchesIn('other')]).toEqual([2, 3, 2]);
  await take(100);
  expect(await batchesIn('acme', long.id)).toBe(1);
});

test('a finished job is kept as a sample only while it is small', () => {
  const keptOf = (index: number, bytes: number) => {
    const { opts } = toLaneJob({ ...requestJob('batch_1', index), bytes }, 0, retry);
    return { removeOnComplete: opts.removeOnComplete, removeOnFail: opts.removeOnFail };
  };
  expect(keptOf(0, 16_384)).toEqual({ removeOnComplete: { count: 1000 } });
  expect(keptOf(101, 100)).toEqual({});
  expect(keptOf(0, 16_385)).toEqual({ removeOnFail: true });
});

test('BullMQ takes the priority of any position', async () => {
  const priorityAt = (position: number) => toLaneJob(requestJob('batch_1', 0), position, retry).opts.priority;
  expect([0, 9, 10, 25].map(priorityAt)).toEqual([2, 2, 3, 4]);
  expect(priorityAt(1e12)).toBe(2 ** 21 - 1);
  const job = requestJob(newBatchId(), 3);
  const [added] = await queue.addBulk([toLaneJob(job, 1e12, retry)]);
  expect(added?.id).toBe(`${job.batchId}-3`);
  expect(await take(1)).toMatchObject([{ index: 3 }]);
});
