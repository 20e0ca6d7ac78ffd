import { once } from 'node:events';
import { newBatchId, type RequestJob } from '@promptmill/core';
import { DelayedError } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  addBatchJob,
  type BatchJob,
  batchesQueueName,
  finalizeQueueName,
  openBatchesQueue,
  openFinalizeQueue,
  openLaneQueue,
  openWorker,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const request: RequestJob = {
  tenant: 'acme',
  batchId: newBatchId(),
  index: 0,
  customId: 'a',
  url: '/v1/chat/completions',
  body: { model: 'echo', messages: [] },
  bytes: 10,
};

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

test('the first turn of a new batch comes before the next turns of others', async () => {
  const queue = space.keep(openBatchesQueue(space.redis, space.keys));
  const fresh = newBatchId();
  for (let i = 0; i < 2; i++) await addBatchJob(queue, newBatchId());
  const taken: string[] = [];
  const worker = space.keep(
    openWorker<BatchJob>(
      async (job) => {
        if (taken.length === 0) await addBatchJob(queue, fresh);
        taken.push(job.data.batchId);
        if (taken.length === 3) return;
        await job.moveToDelayed(Date.now(), job.token);
        throw new DelayedError();
      },
      { connection: space.redis, keys: space.keys, name: batchesQueueName, concurrency: 1, onError: () => {} },
    ),
  );
  await once(worker, 'completed');
  expect(taken[1]).toBe(fresh);
});

test('finalizing can be requested again after its job has ended', async () => {
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

test('BullMQ notes no events of a job', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'lane'));
  await queue.addBulk([1, 2].map((priority) => ({ name: 'request', data: request, opts: { priority } })));
  const worker = space.keep(
    openWorker(async () => {}, {
      connection: space.redis,
      keys: space.keys,
      name: 'lane',
      concurrency: 1,
      onError: () => {},
    }),
  );
  await once(worker, 'drained');
  expect(await queue.getCompletedCount()).toBe(2);
  expect(await space.redis.keys(`${space.keys.queuePrefix('lane')}*:events`)).toEqual([]);
});
