import { randomUUID } from 'node:crypto';
import { type Simulator, startSimulator } from '@promptmill/simulator';
import { Redis } from 'ioredis';
import type OpenAI from 'openai';
import { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DurableRedis, startDurableRedis } from '../support/local-redis.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const configuration = (refusingUrl: string) => `
providers:
  simulator: {}
  refusing: { baseUrl: ${refusingUrl}, models: { echo: { fallback: [simulator/echo] } } }
defaultProvider: simulator
retry: { attempts: 6, baseDelayMs: 20, maxDelayMs: 100 }
`;

let redis: DurableRedis;
let stack: Stack;
let refusing: Simulator;
/** Through one api each. */
let one: OpenAI;
let other: OpenAI;

beforeAll(async () => {
  redis = await startDurableRedis();
  refusing = await startSimulator({ errorRate: 1, errorStatus: 401 });
  const files = { 'promptmill.yaml': configuration(refusing.url) };
  stack = await startStack({ redisUrl: redis.url, apis: 2, files });
  const [first, second] = stack.apis.map(({ url }) => stack.client.withOptions({ baseURL: `${url}/v1` }));
  one = first ?? stack.client;
  other = second ?? stack.client;
});
afterAll(async () => {
  await stack.stop();
  await Promise.all([redis.stop(), refusing.close()]);
});

const chat = (content: string) => ({ model: 'echo', messages: [{ role: 'user' as const, content }] });

/** A call under a key; the same call each time it is sent. */
const keyed = (content: string, key: string = randomUUID()) => ({
  send: (client: OpenAI, options: OpenAI.RequestOptions = {}) =>
    client.chat.completions.create(chat(content), { ...options, headers: { 'Idempotency-Key': key } }),
  key,
});

/** How many calls the provider gets until `work` is done. */
const callsDuring = async (work: () => Promise<unknown>): Promise<number> => {
  const before = (await stack.calls()).length;
  await work();
  return (await stack.calls()).length - before;
};

const inFlight = async (): Promise<number> => {
  const answer = await fetch(`${stack.simulator.url}/control/stats`);
  return ((await answer.json()) as { inFlight: number }).inFlight;
};
const untilInFlight = (calls: number) => expect.poll(inFlight, { timeout: 30_000, interval: 20 }).toBe(calls);

const errorOf = async (call: Promise<unknown>): Promise<APIError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof APIError) return error;
  throw new Error('the call did not fail', { cause: error });
};

describe('a call with an Idempotency-Key', () => {
  it('that is sent to two apis at once is made once', async () => {
    const { send } = keyed('[[sim:latency=500]] Hello');
    let answers: OpenAI.ChatCompletion[] = [];
    const calls = await callsDuring(async () => {
      answers = await Promise.all([send(one), send(other), send(other)]);
    });
    expect(calls).toBe(1);
    expect(answers[0]?.choices[0]?.message.content).toContain('Hello');
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  it('that is sent again gets its answer at once, also when that has left Redis', async () => {
    const { send } = keyed('Hello again');
    const answer = await send(one);
    expect(await callsDuring(async () => expect(await send(other)).toEqual(answer))).toBe(0);

    const client = new Redis(redis.url);
    const texts = async () => {
      const records = await client.keys(`${stack.prefix}:*:kept:*`);
      return Promise.all(records.map((record) => client.hexists(record, 'text')));
    };
    await expect.poll(texts, { timeout: 10_000 }).not.toContain(1);
    client.disconnect();
    expect(await callsDuring(async () => expect(await send(one)).toEqual(answer))).toBe(0);
  });

  it('is refused with another body, and on another route', async () => {
    const { send, key } = keyed('Hello');
    await send(one);
    const headers = { 'Idempotency-Key': key };
    const refused = { status: 409, code: 'idempotency_key_reused' };
    expect(await errorOf(other.chat.completions.create(chat('Bye'), { headers }))).toMatchObject(refused);
    expect(await errorOf(other.embeddings.create({ model: 'echo', input: 'Hello' }, { headers }))).toMatchObject(
      refused,
    );
    expect(
      await errorOf(one.chat.completions.create(chat('Hello'), { headers: { 'Idempotency-Key': '' } })),
    ).toMatchObject({ status: 400 });
  });

  it('outlives its caller', async () => {
    const { send } = keyed('[[sim:latency=800]] Hello');
    const gone = new AbortController();
    const calls = await callsDuring(async () => {
      const first = send(one, { signal: gone.signal }).catch(() => 'gone');
      await untilInFlight(1);
      gone.abort();
      expect(await first).toBe('gone');
      expect((await send(other)).choices[0]?.message.content).toContain('Hello');
    });
    expect(calls).toBe(1);
    expect((await stack.calls()).at(-1)).not.toHaveProperty('aborted');
  });

  it('gives the events of its stream again', async () => {
    const body = { ...chat('One two three four five [[sim:latency=300]]'), stream: true } as const;
    const options = { headers: { 'Idempotency-Key': randomUUID() } };
    const eventsOf = async (client: OpenAI) =>
      Array.fromAsync(await client.chat.completions.create(body, options)) as Promise<unknown[]>;
    let events: unknown[][] = [];
    const calls = await callsDuring(async () => {
      const first = eventsOf(one);
      await untilInFlight(1);
      events = await Promise.all([first, eventsOf(one), eventsOf(other)]);
      events.push(await eventsOf(other));
    });
    expect(calls).toBe(1);
    const [first = []] = events;
    expect(first.length).toBeGreaterThan(2);
    for (const again of events) expect(again).toEqual(first);
  });

  it('keeps the error that is the call’s own, and tries again after one that may pass', async () => {
    const wrong = keyed('[[sim:status=400]]');
    const error = await errorOf(wrong.send(one));
    expect(await callsDuring(async () => expect((await errorOf(wrong.send(other))).error).toEqual(error.error))).toBe(
      0,
    );

    const refused = keyed('Hello');
    await stack.control({ errorRate: 1, errorStatus: 403 });
    expect((await errorOf(refused.send(one))).status).toBe(403);
    await stack.control({ errorRate: 0 });
    expect((await refused.send(other)).choices[0]?.message.content).toContain('Hello');
  });

  it('goes to a fallback once', async () => {
    const options = { headers: { 'Idempotency-Key': randomUUID() } };
    const body = { ...chat('Hello'), model: 'refusing/echo' };
    await stack.control({ latency: { kind: 'fixed', ms: 500 } });
    let answers: OpenAI.ChatCompletion[] = [];
    const calls = await callsDuring(async () => {
      const send = (client: OpenAI) => client.chat.completions.create(body, options);
      answers = await Promise.all([send(one), untilInFlight(1).then(() => send(other))]);
    });
    await stack.control({ latency: { kind: 'fixed', ms: 0 } });
    expect(calls).toBe(1);
    expect(answers[1]).toEqual(answers[0]);
  });
});

describe('a background response', () => {
  const create = (input: string, client = one) => client.responses.create({ model: 'echo', input, background: true });
  const statusOf = async (id: string) => (await other.responses.retrieve(id)).status;

  it('is queued at once, and completed under its id', async () => {
    const queued = await create('[[sim:latency=500]] Hello');
    expect(queued).toMatchObject({ object: 'response', status: 'queued', background: true, model: 'echo', output: [] });
    expect(queued.id).toMatch(/^resp_[0-9a-f]{32}$/);
    await expect.poll(() => statusOf(queued.id)).toBe('in_progress');
    await expect.poll(() => statusOf(queued.id)).toBe('completed');
    const completed = await other.responses.retrieve(queued.id);
    expect(completed.id).toBe(queued.id);
    expect(completed.output_text).toContain('Hello');
    const { status, output } = completed;
    expect(await one.responses.cancel(queued.id)).toMatchObject({ status, output });
  });

  it('is one under one Idempotency-Key', async () => {
    const headers = { 'Idempotency-Key': randomUUID() };
    const body = { model: 'echo', input: 'Hello', background: true };
    const ids = await Promise.all(
      [one, other, other].map(async (api) => (await api.responses.create(body, { headers })).id),
    );
    expect(new Set(ids).size).toBe(1);
    const [id = ''] = ids;
    await expect.poll(() => statusOf(id)).toBe('completed');
    await one.responses.delete(id);
    expect((await one.responses.create(body, { headers })).id).not.toBe(id);
  });

  it('that is cancelled is broken off at the provider', async () => {
    const { id } = await create('[[sim:latency=60000]] Hello');
    await untilInFlight(1);
    expect(await other.responses.cancel(id)).toMatchObject({ id, status: 'cancelled', output: [] });
    await untilInFlight(0);
    expect((await stack.calls()).at(-1)).toMatchObject({ aborted: true });
    expect(await statusOf(id)).toBe('cancelled');
  });

  it('that is deleted is not found, nor is one that never was', async () => {
    const { id } = await create('[[sim:latency=60000]] Hello');
    await untilInFlight(1);
    await other.responses.delete(id);
    await untilInFlight(0);
    for (const gone of [id, `resp_${'0'.repeat(32)}`, 'resp_x']) {
      expect((await errorOf(one.responses.retrieve(gone))).status).toBe(404);
      expect((await errorOf(one.responses.cancel(gone))).status).toBe(404);
      expect((await errorOf(one.responses.delete(gone))).status).toBe(404);
    }
  });

  it('that fails says why', async () => {
    const { id } = await create('[[sim:status=400]]');
    await expect.poll(() => statusOf(id)).toBe('failed');
    expect((await one.responses.retrieve(id)).error).toMatchObject({ code: 'invalid_prompt' });
  });

  it('cannot be streamed, nor left unstored', async () => {
    const body = { model: 'echo', input: 'Hello', background: true } as const;
    expect(await errorOf(one.responses.create({ ...body, stream: true }))).toMatchObject({
      status: 400,
      param: 'stream',
    });
    expect(await errorOf(one.responses.create({ ...body, store: false }))).toMatchObject({
      status: 400,
      param: 'store',
    });
  });
});

describe('a call with an Idempotency-Key survives', () => {
  let api: RoleProcess;
  let worker: RoleProcess;

  beforeAll(() => {
    const [, second] = stack.apis;
    const [only] = stack.workers;
    if (!second || !only) throw new Error('the stack has no second api or no worker');
    api = second;
    worker = only;
  });

  it('a kill of its api: the other gives the answer, and it is called once', async () => {
    const { send } = keyed('[[sim:latency=1500]] Hello');
    const calls = await callsDuring(async () => {
      const first = send(other).catch(() => 'lost');
      await untilInFlight(1);
      await api.stop('SIGKILL');
      expect(await first).toBe('lost');
      expect((await send(one)).choices[0]?.message.content).toContain('Hello');
    });
    expect(calls).toBe(1);
  });

  it('a restart of Redis', async () => {
    const { send } = keyed('[[sim:latency=1500]] Hello');
    const calls = await callsDuring(async () => {
      const first = send(one);
      await untilInFlight(1);
      await redis.kill();
      await redis.restart();
      const answer = await first;
      expect(answer.choices[0]?.message.content).toContain('Hello');
      await expect.poll(() => send(one).catch(() => undefined)).toEqual(answer);
    });
    expect(calls).toBe(1);
  });

  it('a kill of its worker: its caller gets the answer, and it is called once more', async () => {
    const { send } = keyed('[[sim:latency=1000]] Hello');
    const background = await one.responses.create({
      model: 'echo',
      input: 'Hello [[sim:latency=1000]]',
      background: true,
    });
    const calls = await callsDuring(async () => {
      const first = send(one);
      await untilInFlight(2);
      await worker.stop('SIGKILL');
      await stack.start('worker');
      const answer = await first;
      expect(await send(one)).toEqual(answer);
      await expect
        .poll(async () => (await one.responses.retrieve(background.id)).status, { timeout: 15_000 })
        .toBe('completed');
    });
    expect(calls).toBe(4);
  });
});
