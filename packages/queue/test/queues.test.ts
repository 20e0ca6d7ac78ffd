import { once } from 'node:events';
import { newBatchId } from '@promptmill/core';
import type { Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  addBatchJob,
  type BatchJob,
  openBatchesQueue,
  openFinalizeQueue,
  openWorker,
  type OpenWorkerOptions,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
const opened: (Queue | Worker)[] = [];

beforeEach(() => {
  space = openRedisSpace();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
  await space.close();
});

const keep = <T extends Queue | Worker>(each: T): T => {
  opened.push(each);
  return each;
};

const workerOptions = (name: string): OpenWorkerOptions => ({
  connection: space.redis,
  keys: space.keys,
  name,
  concurrency: 1,
  onError: () => {},
});

test('a batch has one job, however often it is added', async () => {
  const queue = keep(openBatchesQueue(space.redis, space.keys));
  const batchId = newBatchId();
  await Promise.all(Array.from({ length: 10 }, () => addBatchJob(queue, batchId)));
  expect(await queue.getJobCountByTypes('wait', 'prioritized', 'delayed', 'active')).toBe(1);
});

test('finalizing can be asked for again once it is done', async () => {
  const queue = keep(openFinalizeQueue(space.redis, space.keys));
  const batchId = newBatchId();
  const finalized: string[] = [];
  const worker = keep(
    openWorker<BatchJob>(async ({ data }) => finalized.push(data.batchId), workerOptions('finalize')),
  );
  for (let round = 0; round < 2; round++) {
    const completed = once(worker, 'completed');
    await addBatchJob(queue, batchId);
    await completed;
  }
  expect(finalized).toEqual([batchId, batchId]);
});
