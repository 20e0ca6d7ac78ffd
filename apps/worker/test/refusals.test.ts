import type { IncomingMessage, ServerResponse } from 'node:http';
import { sourceOf } from '@promptmill/core';
import { createLaneTurns, openLaneQueue, priorityOf, readLaneState } from '@promptmill/queue';
import { afterEach, describe, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};

/** How a provider answers `GET /models`: by status, with its key and without. */
interface Models {
  readonly withKey: number;
  readonly withoutKey: number;
}
const noModels: Models = { withKey: 404, withoutKey: 404 };
const modelsForKey: Models = { withKey: 200, withoutKey: 401 };

let space: WorkerSpace;
afterEach(() => space.close());

/** A worker whose provider answers a call with the status that `statusOf` gives to its prompt; 0 is no answer. */
const open = async (models: Models, statusOf: (prompt: string) => number, options: WorkerSpaceOptions = {}) => {
  const first = { apiKeyEnv: 'FIRST_API_KEY', probeIntervalMs: 2000, ...options.first };
  space = await openWorkerSpace({ ...options, first });
  const provider = { models, statusOf, looks: 0 };
  const called: string[] = [];
  const send = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  space.first.answerWith(({ url, headers }: IncomingMessage, response) => {
    if (url === '/v1/models') {
      provider.looks++;
      const status = headers.authorization ? provider.models.withKey : provider.models.withoutKey;
      return send(response, status, { object: 'list', data: [] });
    }
    const { body } = space.first.calls.at(-1) as { body: { messages: { content: string }[] } };
    const prompt = body.messages[0]?.content ?? '';
    called.push(prompt);
    const status = provider.statusOf(prompt);
    if (status === 200) send(response, 200, completion);
    else if (status > 0) send(response, status, { error: { message: `No: ${prompt}` } });
  });
  return { provider, called, other: await space.addBatch() };
};

const addAll = async (batchId: string, count: number, prompt: string): Promise<void> => {
  for (let index = 0; index < count; index++) await space.add('first', index, { batchId, prompt });
};

const counts = async (batchId = space.batchId) => {
  const { completed = 0, failed = 0 } = (await space.batches.get(batchId)) ?? {};
  return { completed, failed };
};
const lane = () => readLaneState(space.redis, space.keys, 'first', ['first'], Date.now());
const results = async (): Promise<string> => JSON.stringify(await space.redis.xrange(space.keys.results, '-', '+'));

const poisonOrNot = (status: number) => (prompt: string) => (prompt.startsWith('poison') ? status : 200);
const soon = { timeout: 6000, interval: 50 };

describe.each([
  ['a provider without a list of models', noModels],
  ['a provider whose list shows that the key is good', modelsForKey],
  ['a provider that lists its models for everybody', { withKey: 200, withoutKey: 200 }],
  ['a provider whose key may not list models', { withKey: 403, withoutKey: 401 }],
])('%s', (_, models) => {
  test.each([401, 403])('refuses one batch’s prompts with %i: another’s requests run', async (status) => {
    const { called, other } = await open(models, poisonOrNot(status));
    await addAll(space.batchId, 40, 'poison');
    await space.startWorker();
    await addAll(other, 20, 'fine');
    await expect.poll(() => counts(other), soon).toEqual({ completed: 20, failed: 0 });
    expect(called.filter((prompt) => prompt === 'fine')).toHaveLength(20);
  });
});

test.each([
  ['without a list of models', noModels],
  ['whose list shows that the key is good', modelsForKey],
  ['that lists its models for everybody', { withKey: 200, withoutKey: 200 }],
])('a provider %s refuses two batches of one tenant: the lane is never held for another tenant', async (_, models) => {
  const { called } = await open(models, (prompt) => Number(prompt.split(' ')[1]), { graceMs: 100 });
  const own = await space.addBatch('one');
  const second = await space.addBatch('one');
  const other = await space.addBatch('two');
  // As long as this call is in flight, the other tenant is at work.
  await space.add('first', 20, { batchId: other, prompt: 'hang 0' });
  await space.startWorker();
  await expect.poll(() => called.length, soon).toBe(1);
  await Promise.all([addAll(own, 20, 'poison 403'), addAll(second, 20, 'poison 401'), addAll(other, 20, 'fine 200')]);
  await expect.poll(() => counts(other), soon).toEqual({ completed: 20, failed: 0 });
  await expect.poll(() => called.filter((prompt) => prompt.startsWith('poison')).length, soon).toBeGreaterThan(60);
  expect(await space.redis.hget(space.keys.laneState('first'), 'heldAt')).toBeNull();
});

test('a tenant sends ever new batches that are refused: the lane opens for another tenant that comes', async () => {
  await open(modelsForKey, poisonOrNot(403), { first: { probeIntervalMs: 30_000 }, graceMs: 100 });
  await space.startWorker();
  const flood = new AbortController();
  const flooding = (async () => {
    for (let position = 0; !flood.signal.aborted; position++)
      await space.add('first', 0, { batchId: await space.addBatch('one'), prompt: 'poison', position });
  })();
  try {
    const failedSources = async () =>
      (await space.redis.hget(space.keys.laneState('first'), 'failedSources'))?.split(',').length;
    await expect.poll(failedSources, { timeout: 20_000 }).toBe(32);
    const other = await space.addBatch('two');
    await addAll(other, 20, 'fine');
    await expect.poll(() => counts(other), soon).toEqual({ completed: 20, failed: 0 });
  } finally {
    flood.abort();
    await flooding;
  }
});

test('a refused request comes back at the end of its tenant’s line', async () => {
  const { called } = await open(noModels, poisonOrNot(403));
  const batchId = await space.addBatch('one');
  const before = 100;
  await createLaneTurns(space.redis, space.keys).take('first', { tenant: 'one', batchId, isNew: false }, before);
  const id = await space.add('first', 0, { batchId, prompt: 'poison' });
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'first'));
  const priority = async () => (await queue.getJob(id))?.priority;
  expect(await priority()).toBe(priorityOf({}, 0));
  await space.startWorker();
  await expect.poll(() => called.length, soon).toBe(1);
  await expect.poll(priority).toBe(priorityOf({}, before));
});

test('a request that alone is refused again and again becomes an error line, with the answer', async () => {
  const { called } = await open(noModels, poisonOrNot(403));
  await space.add('first', 0, { prompt: 'poison' });
  await space.startWorker();
  const refusals = () => called.filter((prompt) => prompt === 'poison').length;
  for (const index of [1, 2]) {
    await expect.poll(refusals, soon).toBe(index);
    await space.add('first', index);
    await expect.poll(() => counts(), soon).toEqual({ completed: index, failed: 0 });
  }
  await expect.poll(() => counts(), soon).toEqual({ completed: 2, failed: 1 });
  expect(refusals()).toBe(3);
  expect(await results()).toContain('No: poison');
  expect(await results()).toContain(String.raw`\"status_code\":403`);
});

test('a batch that is alone and refused with 403 ends when the key is seen to be good', async () => {
  const { called } = await open(modelsForKey, () => 403);
  await addAll(space.batchId, 5, 'poison');
  await space.startWorker();
  await expect.poll(() => counts(), { timeout: 9000 }).toEqual({ completed: 0, failed: 5 });
  expect(called.length).toBeLessThanOrEqual(20);
});

describe.each([
  ['no list of models', noModels, noModels],
  ['a list of models that the key opens', { withKey: 401, withoutKey: 401 }, modelsForKey],
  ['a list of models that the key opens all along', modelsForKey, modelsForKey],
])('a provider with %s refuses its key', (_, before, after) => {
  test('the lane stops, no request fails, and all go on within the probe interval once the key works', async () => {
    const { provider, called, other } = await open(before, () => 401, { first: { probeIntervalMs: 500 } });
    await addAll(space.batchId, 20, 'one');
    await addAll(other, 20, 'two');
    await space.startWorker();
    await expect.poll(async () => (await lane()).reason, soon).toBe('authentication_failed (401)');
    const callsBefore = called.length;
    const holds = async () => Number(await space.redis.hget(space.keys.laneState('first'), 'holds'));
    await expect.poll(holds, soon).toBeGreaterThanOrEqual(4);
    const callsWhileStopped = called.length - callsBefore;
    const probes = await holds();
    expect([await counts(), await counts(other)]).toEqual([
      { completed: 0, failed: 0 },
      { completed: 0, failed: 0 },
    ]);
    // Calls that were in flight when the lane was held, and then the probes.
    expect(callsWhileStopped).toBeLessThanOrEqual(10 + probes);
    Object.assign(provider, { models: after, statusOf: () => 200 });
    const all = { completed: 20, failed: 0 };
    await expect.poll(async () => [await counts(), await counts(other)], { timeout: 6000 }).toEqual([all, all]);
    expect((await lane()).reason).toBeUndefined();
  });
});

test('a stopped lane asks for the list of models, and makes no call until that is answered', async () => {
  const { provider, called } = await open({ withKey: 401, withoutKey: 401 }, () => 401, {
    first: { probeIntervalMs: 200 },
  });
  await addAll(space.batchId, 20, 'one');
  await space.startWorker();
  await expect.poll(() => provider.looks, soon).toBeGreaterThan(2);
  const { length } = called;
  const looks = provider.looks;
  await expect.poll(() => provider.looks, soon).toBeGreaterThan(looks + 4);
  expect(called.length - length).toBeLessThanOrEqual(1);
});

test('a probe is of a batch whose request did not fail the last probe', async () => {
  // The first batch fills every place of the worker before the second comes.
  const { other } = await open(noModels, poisonOrNot(401), { first: { probeIntervalMs: 600_000 } });
  await addAll(space.batchId, 60, 'poison');
  await space.startWorker();
  await expect.poll(async () => (await lane()).heldUntilMs, soon).toBeDefined();
  await addAll(other, 20, 'fine');
  await expect.poll(() => counts(other), { timeout: 9000 }).toEqual({ completed: 20, failed: 0 });
});

test.each([
  ['fail', 500],
  ['hang', 0],
])('a lane whose probes %s is opened by a request of another batch', async (_, status) => {
  const { other } = await open(noModels, poisonOrNot(status), {
    retry: { attempts: 50, baseDelayMs: 1, maxDelayMs: 2 },
    first: { timeoutMs: 60_000 },
    graceMs: 100,
  });
  await addAll(space.batchId, 2, 'poison');
  const failedSources = sourceOf({ tenant: 'acme', batchId: space.batchId });
  const state = { heldUntil: Date.now() + 500, heldFor: 'failing', failedSources, heldAt: 1 };
  await space.redis.hset(space.keys.laneState('first'), state);
  await space.startWorker();
  await addAll(other, 20, 'fine');
  await expect.poll(() => counts(other), soon).toEqual({ completed: 20, failed: 0 });
});

test('others see the code and the status; the batch whose request it was sees the message', async () => {
  const { other } = await open(noModels, () => 401);
  await addAll(space.batchId, 3, 'a secret plan');
  await space.startWorker();
  await expect.poll(async () => (await lane()).reason, soon).toBe('authentication_failed (401)');
  await space.add('first', 0, { batchId: other });
  const owned = await space.batches.get(space.batchId);
  expect(owned?.lastRefusal).toEqual({
    lane: 'first',
    reason: 'authentication_failed (401)',
    message: 'authentication_failed: first answered 401: No: a secret plan',
  });
  expect((await space.batches.get(other))?.lastRefusal?.message ?? '').not.toContain('secret');
});

test('an error line tells no address of a provider that cannot be reached', async () => {
  const { other } = await open(noModels, () => 200);
  const { port } = new URL(space.first.baseUrl);
  await space.first.close();
  await space.startWorker();
  await space.add('first', 0, { batchId: other });
  await expect.poll(() => counts(other), soon).toEqual({ completed: 0, failed: 1 });
  expect(await results()).toContain('connection_error');
  expect(await results()).not.toContain(port);
  expect(await results()).not.toContain('127.0.0.1');
});
