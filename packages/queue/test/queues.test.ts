import { once } from 'node:events';
import { newBatchId } from '@promptmill/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  addBatchJob,
  type BatchJob,
  finalizeQueueName,
  openBatchesQueue,
  openFinalizeQueue,
  openWorker,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;

beforeEach(() => {
  space = openRedisSpace();
});

afterEach(() => space.close());

test('a batch has one job, however often it is added', async () => {
  const queue = space.keep(openBatchesQueue(space.redis, space.keys));
  const batchId = newBatchId();
  await Promise.all(Array.from({ length: 10 }, () => addBatchJob(queue, batchId)));
  expect(await queue.getJobCountByTypes('wait', 'prioritized', 'delayed', 'active')).toBe(1);
});

test('finalizing can be asked for again once it is done', async () => {
  const queue = space.keep(openFinalizeQueue(space.redis, space.keys));
  const batchId = newBatchId();
  const finalized: string[] = [];
  const worker = space.keep(
    openWorker<BatchJob>(async ({ data }) => finalized.push(data.batchId), {
      connection: space.redis,
      keys: space.keys,
      name: finalizeQueueName,
      concurrency: 1,
      onError: () => {},
    }),
  );
  for (let round = 0; round < 2; round++) {
    const completed = once(worker, 'completed');
    await addBatchJob(queue, batchId);
    await completed;
  }
  expect(finalized).toEqual([batchId, batchId]);
});
