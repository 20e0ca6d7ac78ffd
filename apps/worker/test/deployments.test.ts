import { readLaneLimits } from '@promptmill/queue';
import { afterEach, expect, test } from 'vitest';
import { startTestProvider, type TestProvider } from '../../../tests/support/test-provider.ts';
import { openWorkerSpace, type WorkerSpace } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};

let space: WorkerSpace;
let west: TestProvider;
afterEach(async () => {
  await space.close();
  await west.close();
});

/** A worker whose lane `first` has the deployments east, at the provider `first`, and west. */
const open = async (more: object = {}) => {
  west = await startTestProvider();
  const deployments = { east: { apiKeyEnv: 'FIRST_API_KEY' }, west: { baseUrl: west.baseUrl, ...more } };
  space = await openWorkerSpace({ first: { deployments } });
  space.first.answerJson(200, completion);
  west.answerJson(200, completion);
};

const addAll = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await space.add('first', index);
};

const counts = async () => {
  const { completed = 0, failed = 0, retries = 0 } = (await space.batches.get(space.batchId)) ?? {};
  return { completed, failed, retries };
};

const callsOf = ({ calls }: TestProvider) => calls.filter(({ url }) => url.endsWith('/chat/completions'));

test('share the calls of a lane, each with its own key', async () => {
  await open();
  await addAll(20);
  await space.startWorker();
  await expect.poll(counts, { timeout: 10_000 }).toEqual({ completed: 20, failed: 0, retries: 0 });
  const keysAt = [space.first, west].map(
    (provider) => new Set(callsOf(provider).map(({ headers }) => headers.authorization)),
  );
  expect(keysAt).toEqual([new Set(['Bearer sk-of-the-first']), new Set([undefined])]);
});

test('a key that one refuses fails no request: the others take it at once, and the lane stays open', async () => {
  await open();
  west.answerJson(401, { error: { message: 'No such key.' } });
  await addAll(40);
  await space.startWorker();
  await expect.poll(counts, { timeout: 20_000 }).toEqual({ completed: 40, failed: 0, retries: 0 });
  expect(callsOf(space.first)).toHaveLength(40);
  expect(callsOf(west).length).toBeGreaterThan(0);
  expect(callsOf(west).length).toBeLessThan(20);
});

test('a live call that one refuses is answered by another', async () => {
  await open();
  west.answerJson(401, { error: { message: 'No such key.' } });
  await space.startWorker();
  for (let i = 0; i < 4; i++) await space.addLive('acme');
  await expect.poll(() => callsOf(space.first).length, { timeout: 10_000 }).toBe(4);
});

test('a request comes to the one at which it has failed only while the others are held', async () => {
  await open();
  west.answerJson(500, { error: { message: 'Out of order.' } });
  await addAll(10);
  await space.startWorker();
  await expect.poll(counts, { timeout: 20_000 }).toMatchObject({ completed: 10, failed: 0 });
  const { retries } = await counts();
  // With two attempts, a request that came back to it would have failed.
  expect(retries).toBe(callsOf(west).length);
  expect(retries).toBeGreaterThan(0);
});

test('a process without the key of one uses the others', async () => {
  await open({ apiKeyEnv: 'WEST_API_KEY' });
  await addAll(10);
  await space.startWorker();
  await expect.poll(counts, { timeout: 10_000 }).toEqual({ completed: 10, failed: 0, retries: 0 });
  expect([callsOf(space.first).length, west.calls.length]).toEqual([10, 0]);
});

test('a changed limit of one holds from the next call on', async () => {
  await open();
  await space.startWorker();
  const limits = async (upstream: string) => (await readLaneLimits(space.redis, space.keys, upstream)).configured;
  expect(await limits('first@west')).toEqual({});
  const deployments = { east: {}, west: { baseUrl: west.baseUrl, concurrency: 3 } };
  await space.setFirst({ deployments, requestsPerMinute: 600 });
  expect(await limits('first@west')).toEqual({ concurrency: 3 });
  expect(await limits('first')).toEqual({ requests: { count: 600, windowMs: 60_000 } });
});
