import { noUsage } from '@promptmill/core';
import { afterEach, expect, test } from 'vitest';
import { createdAt } from '../../../packages/queue/test/new-batch.ts';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};

let space: WorkerSpace;
const open = async (options?: WorkerSpaceOptions): Promise<WorkerSpace> => (space = await openWorkerSpace(options));
afterEach(() => space.close());

const counts = async () => {
  const { completed = 0, failed = 0 } = (await space.batches.get(space.batchId)) ?? {};
  return { completed, failed };
};

test('a request is called once, and its answer and tokens are recorded', async () => {
  const { first, startWorker, add, batches, batchId, redis, keys } = await open();
  first.answerJson(200, completion, { 'x-request-id': 'req_1' });
  await startWorker();
  const id = await add('first', 0);
  await expect.poll(counts).toEqual({ completed: 1, failed: 0 });
  expect(first.calls.map(({ headers }) => headers['idempotency-key'])).toEqual([id]);
  expect((await batches.get(batchId))?.usage).toMatchObject({ inputTokens: 9, outputTokens: 3 });
  const stream = JSON.stringify(await redis.xrange(keys.results, '-', '+'));
  expect(stream).toContain(JSON.stringify(JSON.stringify(completion)).slice(1, -1));
});

test('a request that has its result is not called', async () => {
  const { first, startWorker, add, recorder, batchId } = await open();
  first.answerJson(200, completion);
  await recorder.record({ batchId, index: 0, bytes: 1 }, 'completed', '{}', noUsage);
  await add('first', 0);
  await add('first', 1);
  await startWorker();
  await expect.poll(counts).toEqual({ completed: 2, failed: 0 });
  expect(first.calls).toHaveLength(1);
});

test('a failure that may pass is tried as often as the policy says, then it is the result', async () => {
  const { first, startWorker, add } = await open();
  first.answerJson(500, { error: { message: 'broken' } });
  await startWorker();
  await add('first', 0);
  await expect.poll(counts).toEqual({ completed: 0, failed: 1 });
  expect(first.calls).toHaveLength(2);
});

test('a request of a paused batch is not called', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  first.answerJson(200, completion);
  await batches.pause(batchId, createdAt * 1000);
  await add('first', 0);
  await startWorker();
  await expect.poll(async () => (await batches.dispatchState(batchId)).parked).toBe(true);
  expect(first.calls).toHaveLength(0);
});

test('a call that does not end within the grace goes back to its lane', async () => {
  const { first, startWorker, add, keys, redis } = await open({ graceMs: 200 });
  first.answerWith(() => {});
  await startWorker();
  const id = await add('first', 0);
  await expect.poll(() => first.calls.length).toBe(1);
  await space.stopWorker();
  expect(await redis.zrange(keys.laneJobs('first', 'delayed'), '0', '-1')).toEqual([id]);
});

test('when a request has a job in two lanes, the job that another worker has taken makes no call', async () => {
  // The first lane lets a request in every 3 s; meanwhile the second lane's attempt fails.
  const { first, second, startWorker, add, keys, redis } = await open({
    first: { requestsPerMinute: 20 },
    retry: { attempts: 2, baseDelayMs: 60_000, maxDelayMs: 60_000 },
  });
  first.answerJson(200, completion);
  second.answerJson(500, { error: { message: 'broken' } });
  await startWorker();
  await Promise.all([add('first', 1), add('first', 2)]);
  await expect.poll(() => first.calls.length).toBe(2);
  const id = await add('first', 0);
  const lock = `${keys.laneJob('first', id)}:lock`;
  await expect.poll(() => redis.get(lock)).not.toBeNull();
  await add('second', 0);
  await expect.poll(() => redis.zcard(keys.laneJobs('second', 'delayed'))).toBe(1);
  await redis.set(lock, 'another');
  await add('first', 3);
  await expect.poll(() => first.calls.length).toBe(3);
  expect(first.calls.map(({ headers }) => headers['idempotency-key'])).not.toContain(id);
});
