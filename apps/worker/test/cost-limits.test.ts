import type { ServerResponse } from 'node:http';
import { field, schemaFields } from '@promptmill/core';
import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};
/** What it costs at a dollar for a million tokens. */
const answerNanoUsd = 12_000;
const prices = { input: 1, output: 1 };

let space: WorkerSpace;
const open = async (options: WorkerSpaceOptions = {}): Promise<WorkerSpace> => {
  space = await openWorkerSpace({ first: { models: { m: { prices } } }, ...options });
  return space;
};
afterEach(() => space.close());

const limitBatch = (nanoUsd: number) => space.redis.hset(space.keys.batch(space.batchId), 'maxCostNanoUsd', nanoUsd);
const batchOf = () => space.batches.get(space.batchId);
const addMany = (count: number, lane: 'first' | 'second' = 'first') =>
  Promise.all(Array.from({ length: count }, (_, i) => space.add(lane, i)));
const reservedCalls = () => space.redis.zcard(space.keys.batchReserved(space.batchId));

test('a batch’s calls go as far as its money, and those for which there is none are parked', async () => {
  const { first, startWorker, batches, batchId } = await open();
  // The first is expected to cost about a thousand tokens, so it goes alone.
  await limitBatch(3 * answerNanoUsd);
  first.answerJson(200, completion);
  await addMany(20);
  await startWorker();
  await expect.poll(async () => (await batchOf())?.costHold).toEqual({ limit: 'max_cost' });
  await expect.poll(async () => (await batchOf())?.completed).toBe(1);
  await expect.poll(reservedCalls).toBe(0);
  expect((await batches.read(batchId))?.state).toMatchObject({ parked: true, outstanding: 99 });
  expect(first.calls).toHaveLength(1);
});

test('what is reserved comes back when a call fails', async () => {
  const { first, startWorker } = await open();
  await limitBatch(1e9);
  const waiting: ServerResponse[] = [];
  first.answerWith((_request, response) => void waiting.push(response));
  await addMany(3);
  await startWorker();
  await expect.poll(() => waiting.length).toBe(3);
  expect(await reservedCalls()).toBe(3);
  for (const response of waiting)
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
  await expect.poll(async () => (await batchOf())?.failed).toBe(3);
  await expect.poll(reservedCalls).toBe(0);
  expect(await space.redis.hget(space.keys.batchCosts(space.batchId), 'reserved')).toBeNull();
});

test('an answer of unknown cost counts for what was reserved', async () => {
  const { first, startWorker, redis, keys, batchId } = await open();
  await limitBatch(1e9);
  first.answerJson(200, { ...completion, usage: undefined });
  await addMany(1);
  await startWorker();
  await expect.poll(async () => (await batchOf())?.cost.unpriced).toBe(1);
  await expect.poll(async () => Number(await redis.hget(keys.batchCosts(batchId), 'assumed'))).toBeGreaterThan(1e6);
});

test('an answer that does not match its schema is asked for again once there is money for a second call', async () => {
  const { first, startWorker, add } = await open();
  await limitBatch(answerNanoUsd);
  first.answerJson(200, completion);
  await add('first', 0, {
    more: {
      checkSchema: true,
      body: { model: 'm', messages: [], ...schemaFields('/v1/chat/completions', 'x', { type: 'object' }) },
    },
  });
  await startWorker();
  await expect.poll(async () => (await batchOf())?.costHold).toEqual({ limit: 'max_cost' });
  await expect.poll(reservedCalls).toBe(0);
  expect(first.calls).toHaveLength(1);
  await limitBatch(1e9);
  await space.redis.hdel(space.keys.batch(space.batchId), 'costHeld');
  await expect.poll(() => first.calls.length, { timeout: 10_000 }).toBe(2);
  expect(field(first.calls[1]?.body, 'messages')).toHaveLength(2);
  await expect.poll(async () => (await batchOf())?.failed).toBe(1);
});

test('a request whose price is not known is not called where the cost is limited', async () => {
  const { second, startWorker } = await open();
  await limitBatch(1e9);
  await addMany(1, 'second');
  await startWorker();
  await expect.poll(async () => (await batchOf())?.failed).toBe(1);
  expect(second.calls).toHaveLength(0);
});

test('calls that nothing limits ask for no money', async () => {
  const { first, startWorker, redis, keys, batchId } = await open({ tenants: { other: { usdPerDay: 1 } } });
  first.answerJson(200, completion);
  await addMany(5);
  await startWorker();
  await expect.poll(async () => (await batchOf())?.completed).toBe(5);
  expect(await redis.exists(keys.batchCosts(batchId), keys.batchReserved(batchId), keys.tenantCosts('acme'))).toBe(0);
});

test('live calls of a tenant that has reached its limit fail, and are made once it is raised', async () => {
  const { first, startWorker, addLive, setTenants } = await open({ tenants: { acme: { usdPerDay: 1e-9 } } });
  first.answerJson(200, completion);
  await startWorker();
  await addLive('acme');
  // One goes while nobody knows what calls cost.
  await expect.poll(() => first.calls.length).toBe(1);
  const answers = () => space.redis.xlen(space.keys.liveAnswers('api'));
  await expect.poll(answers).toBe(1);
  await addLive('acme');
  await expect.poll(answers).toBeGreaterThan(1);
  expect(first.calls).toHaveLength(1);
  await setTenants({ acme: { usdPerDay: 1 } });
  await addLive('acme');
  await expect.poll(() => first.calls.length).toBe(2);
});
