import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};

let space: WorkerSpace;
const open = async (tenants: WorkerSpaceOptions['tenants']): Promise<WorkerSpace> => {
  space = await openWorkerSpace({ tenants: tenants ?? {} });
  return space;
};
afterEach(() => space.close());

const completedOf = async (batchId: string): Promise<number> => (await space.batches.get(batchId))?.completed ?? 0;

/** Lets the provider's calls wait until they are answered; notes the most that waited at once. */
const holdCalls = () => {
  const waiting: ServerResponse[] = [];
  const seen = { most: 0 };
  space.first.answerWith((_request, response) => {
    waiting.push(response);
    seen.most = Math.max(seen.most, waiting.length);
  });
  const answerOne = (): boolean => {
    const response = waiting.shift();
    response?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion));
    return response !== undefined;
  };
  return { seen, waiting, answerOne };
};

const addMany = (batchId: string, count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => space.add('first', i, { batchId })));

test('a tenant has no more calls in flight than it may; its other requests hold up no other tenant', async () => {
  const { startWorker, addBatch } = await open({ small: { concurrency: 2 } });
  const { seen, waiting, answerOne } = holdCalls();
  const small = await addBatch('small');
  const other = await addBatch('other');
  // More than the worker has places for, before those of the other tenant.
  await addMany(small, 40);
  await startWorker();
  await expect.poll(() => waiting.length).toBe(2);
  await addMany(other, 5);
  await expect.poll(() => waiting.length).toBe(7);
  seen.most = 0;
  const ofSmall = waiting.splice(0, 2);
  while (answerOne());
  await expect.poll(() => completedOf(other)).toBe(5);
  waiting.push(...ofSmall);
  const answering = setInterval(answerOne, 5);
  await expect.poll(() => completedOf(small)).toBe(40);
  clearInterval(answering);
  expect(seen.most).toBe(2);
  expect(space.first.calls).toHaveLength(45);
  const attempts = await Promise.all(
    Array.from({ length: 40 }, (_, i) => space.redis.hget(space.keys.laneJob('first', `${small}-${i}`), 'atm')),
  );
  expect(attempts.every((attempt) => attempt === null || Number(attempt) <= 1)).toBe(true);
});

test('a tenant makes no more calls a minute than it may, until its limit is raised or removed', async () => {
  const { first, startWorker, addBatch, setTenants } = await open({ default: { requestsPerMinute: 5 } });
  first.answerJson(200, completion);
  const batchId = await addBatch('anyone');
  await addMany(batchId, 30);
  await startWorker();
  await expect.poll(() => completedOf(batchId)).toBe(5);
  await expect.poll(() => space.redis.zcard(space.keys.laneJobs('first', 'delayed'))).toBe(25);
  expect(first.calls).toHaveLength(5);
  await setTenants({ default: { requestsPerMinute: 12 } });
  await expect.poll(() => completedOf(batchId)).toBe(12);
  await expect.poll(() => space.redis.zcard(space.keys.laneJobs('first', 'delayed'))).toBe(18);
  expect(first.calls).toHaveLength(12);
  await setTenants({});
  await expect.poll(() => completedOf(batchId)).toBe(30);
});

const livePrompts = (): number[] =>
  space.first.calls.flatMap(({ body }, i) => (JSON.stringify(body).includes('Live') ? [i] : []));

test('live calls count beside batch requests: in flight and in a minute', async () => {
  const { startWorker, addBatch, addLive } = await open({ small: { concurrency: 2, requestsPerMinute: 8 } });
  const { seen, waiting, answerOne } = holdCalls();
  const small = await addBatch('small');
  await addMany(small, 10);
  for (let i = 0; i < 10; i++) await addLive('small');
  await startWorker();
  await expect.poll(() => waiting.length).toBe(2);
  const answering = setInterval(answerOne, 5);
  await expect.poll(() => space.first.calls.length).toBe(8);
  await expect.poll(() => space.redis.zcard(space.keys.laneJobs('first', 'delayed'))).toBe(12);
  clearInterval(answering);
  expect([seen.most, space.first.calls.length]).toEqual([2, 8]);
  // They go first, but a batch request may be let in while the worker has not fetched them all yet.
  expect(livePrompts().length).toBeGreaterThan(4);
});

test('a live call goes before the batch requests of its tenant that wait for its limit', async () => {
  const { first, startWorker, addBatch, addLive, setTenants } = await open({ default: { requestsPerMinute: 5 } });
  first.answerJson(200, completion);
  const batchId = await addBatch('acme');
  await addMany(batchId, 30);
  await startWorker();
  await expect.poll(() => space.redis.zcard(space.keys.laneJobs('first', 'delayed'))).toBe(25);
  await addLive('acme');
  await expect.poll(() => space.redis.zcard(space.keys.laneJobs('first', 'delayed'))).toBe(26);
  await setTenants({ default: { requestsPerMinute: 10 } });
  await expect.poll(() => first.calls.length).toBe(10);
  // All waiting requests are woken when a limit changes; one may be ahead.
  expect(livePrompts()[0]).toBeLessThanOrEqual(6);
});

test('a worker that stops gives back the calls that it had admitted', async () => {
  const { startWorker, stopWorker, addBatch } = await open({ small: { concurrency: 1 } });
  const { waiting } = holdCalls();
  const small = await addBatch('small');
  await space.add('first', 0, { batchId: small });
  await startWorker();
  await expect.poll(() => waiting.length).toBe(1);
  const stopped = stopWorker();
  waiting.shift()?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion));
  await stopped;
  expect(await space.redis.zcard(space.keys.places('small', 'calls'))).toBe(0);
});
