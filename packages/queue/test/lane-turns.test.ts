import { newBatchId, type RequestJob } from '@promptmill/core';
import { type Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLaneTurns, type LaneTurns, openLaneQueue, requestJobOptions } from '../src/index.ts';
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
  batchId,
  index,
  customId: `request-${index}`,
  url: '/v1/chat/completions',
  body: { model: 'echo' },
  bytes: 100,
});

/** A batch whose requests are dispatched in chunks, as its dispatcher does it. */
const newBatch = () => {
  const id = newBatchId();
  let dispatched = 0;
  let end = 0;
  return {
    id,
    async dispatch(count: number): Promise<void> {
      const start = await turns.next(queue, end);
      const jobs = Array.from({ length: count }, (_, i) => requestJob(id, dispatched + i));
      await queue.addBulk(
        jobs.map((job, i) => ({ name: 'request', data: job, opts: requestJobOptions(job, start + i, retry) })),
      );
      dispatched += count;
      end = start + count;
      await turns.noteEnd(lane, end);
    },
  };
};

/** The next job, which is then active until it is finished. */
const takeOne = async () => {
  const job = await worker.getNextJob('token', { block: false });
  return job && { ...job.data, finish: () => job.moveToCompleted('done', 'token', false) };
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

test('a small batch waits for a turn of a large one, not for its window', async () => {
  const large = newBatch();
  const small = newBatch();
  await large.dispatch(500);
  await large.dispatch(500);
  await small.dispatch(10);
  expect(indexesOf(small, await take(20))).toHaveLength(10);
});

test('the same holds while the large one is under way and its window is filled again', async () => {
  const large = newBatch();
  const small = newBatch();
  await large.dispatch(500);
  await take(205);
  await large.dispatch(205);
  await small.dispatch(30);
  expect(indexesOf(small, await take(70))).toHaveLength(30);
});

test('a batch that comes later has no more turns than one under way', async () => {
  const early = newBatch();
  const late = newBatch();
  await early.dispatch(500);
  await take(200);
  await late.dispatch(200);
  const taken = await take(100);
  expect([early, late].map((batch) => indexesOf(batch, taken).length)).toEqual([50, 50]);
});

test('batches that came together share the lane evenly', async () => {
  const batches = [newBatch(), newBatch(), newBatch()];
  for (const batch of batches) await batch.dispatch(200);
  const taken = await take(150);
  expect(batches.map((batch) => indexesOf(batch, taken).length)).toEqual([50, 50, 50]);
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
  const batch = newBatch();
  await batch.dispatch(40);
  await take(39);
  const last = await takeOne();
  expect(await turns.next(queue, 0)).toBe(40);
  expect(await turns.next(queue, 90)).toBe(90);
  await last?.finish();
  expect(await turns.next(queue, 90)).toBe(0);
});

test('a finished job is kept as a sample only while it is small', () => {
  const keptOf = (index: number, bytes: number) => {
    const { removeOnComplete, removeOnFail } = requestJobOptions({ ...requestJob('batch_1', index), bytes }, 0, retry);
    return { removeOnComplete, removeOnFail };
  };
  expect(keptOf(0, 16_384)).toEqual({ removeOnComplete: { count: 1000 } });
  expect(keptOf(101, 100)).toEqual({});
  expect(keptOf(0, 16_385)).toEqual({ removeOnFail: true });
});

test('BullMQ takes the priority of any position', async () => {
  const priorityAt = (position: number) => requestJobOptions(requestJob('batch_1', 0), position, retry).priority;
  expect([0, 9, 10, 25].map(priorityAt)).toEqual([1, 1, 2, 3]);
  expect(priorityAt(1e12)).toBe(2 ** 21 - 1);
  const job = requestJob(newBatchId(), 3);
  const added = await queue.add('request', job, requestJobOptions(job, 1e12, retry));
  expect(added.id).toBe(`${job.batchId}-3`);
  expect(await take(1)).toMatchObject([{ index: 3 }]);
});
