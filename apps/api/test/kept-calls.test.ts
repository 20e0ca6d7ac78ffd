import { createKeptCalls, createLiveSender, openLaneQueue } from '@promptmill/queue';
import { jobIdOf, type LiveAnswer } from '@promptmill/core';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { findKeys } from '../../../tests/support/redis-keys.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;
let calls: ReturnType<typeof createKeptCalls>;
let lane: ReturnType<typeof openLaneQueue>;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
  calls = createKeptCalls(api.redis, api.keys);
  lane = openLaneQueue(api.redis, api.keys, 'simulator');
});
afterAll(async () => {
  await lane.close();
  await api.close();
});

const head = { statusCode: 200, requestId: 'req_1', headers: {}, callMs: 5 };

const response = (body: string): LiveAnswer => ({ kind: 'response', head, body });

/** Sends a call under a key, and waits until it is under way. */
const send = async (key: string, body: object = {}) => {
  const known = await findKeys(api.redis, api.keys.keptCall('*'));
  const answer = api.request('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ model: 'simulator/echo', messages: [], ...body }),
  });
  const newId = async (): Promise<string | undefined> => {
    const keys = await findKeys(api.redis, api.keys.keptCall('*'));
    return keys.find((name) => !known.includes(name))?.slice(api.keys.keptCall('').length);
  };
  await expect.poll(newId).toBeDefined();
  const id = (await newId()) ?? '';
  await expect.poll(() => lane.getJob(jobIdOf(id, 0))).toBeDefined();
  return { answer, id };
};

it('an answer of which nobody tells, since its worker has died, reaches the caller all the same', async () => {
  const { answer, id } = await send('untold');
  await calls.record(id, 'alice', { answer: response('{"whole":true}'), isStream: false, mayPass: false });
  expect(await (await answer).json()).toEqual({ whole: true });
});

it('so does the rest of a stream', async () => {
  const { answer, id } = await send('untold-stream', { stream: true });
  const job = await lane.getJob(jobIdOf(id, 0));
  const events = ['data: {"n":1}\n\n', 'data: {"n":2}\n\n', 'data: [DONE]\n\n'];
  const text = events.slice(0, 2).join('');
  const news = { kind: 'events', callId: id, attempt: 'a', from: 0, count: 2, head, text } as const;
  await createLiveSender(api.redis, api.keys).send(job?.data ?? { batchId: id }, news);
  const reader = (await answer).body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toBe(text);
  await calls.record(id, 'alice', { answer: response(events.join('')), isStream: true, mayPass: false });
  expect((await reader?.read())?.value).toBe(events[2]);
  expect((await reader?.read())?.done).toBe(true);
});

it('a call that Redis has lost is made again', async () => {
  const { answer, id } = await send('lost');
  await lane.remove(jobIdOf(id, 0));
  await api.redis.del(api.keys.keptCall(id), api.keys.keptUnderWay('alice'));
  await expect.poll(() => lane.getJob(jobIdOf(id, 0)), { timeout: 10_000 }).toBeDefined();
  await calls.record(id, 'alice', { answer: response('{"whole":true}'), isStream: false, mayPass: false });
  expect((await answer).status).toBe(200);
});

const background = (client = api.alice) =>
  client.responses.create({ model: 'simulator/echo', input: 'Hi', background: true });

it('a tenant may have so many kept calls under way', async () => {
  api.setTenants({ alice: { liveCallsAtOnce: 2 } });
  const [first] = [await background(), await background()];
  await expect(background()).rejects.toMatchObject({ status: 429, code: 'too_many_live_calls' });
  await background(api.bob);
  await api.alice.responses.cancel(first.id);
  await background();
  api.setTenants({});
});

it('a cancelled call leaves its lane', async () => {
  const { id } = await background();
  expect(await lane.getJob(jobIdOf(id, 0))).toBeDefined();
  await api.alice.responses.cancel(id);
  expect(await lane.getJob(jobIdOf(id, 0))).toBeUndefined();
});

it('a response tells of the provider’s own incomplete answer, of its errors, and of those without an answer', async () => {
  const record = async (answer: LiveAnswer) => {
    const { id } = await background();
    await calls.record(id, 'alice', { answer, isStream: false, mayPass: false });
    return { id, response: await api.alice.responses.retrieve(id) };
  };
  const incomplete = { id: 'resp_theirs', object: 'response', status: 'incomplete', output: [] };
  const { id, response: ended } = await record(response(JSON.stringify(incomplete)));
  expect(ended).toMatchObject({ id, status: 'incomplete', background: true });
  const refused = {
    kind: 'response',
    head: { ...head, statusCode: 429 },
    body: '{"error":{"message":"slow"}}',
  } as const;
  expect((await record(refused)).response).toMatchObject({
    status: 'failed',
    error: { code: 'rate_limit_exceeded', message: 'slow' },
  });
  const lost = { kind: 'error', code: 'worker_lost', message: 'gone' } as const;
  expect((await record(lost)).response).toMatchObject({
    status: 'failed',
    error: { code: 'server_error', message: 'worker_lost: gone' },
  });
});
