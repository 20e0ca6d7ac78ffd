import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { keys, startTestApi, type TestApi } from './support/test-api.ts';

const names = ['few', 'bytes', 'other', 'leaving'];
const tenants = { few: { liveCallsAtOnce: 5 } };
const configFile = JSON.stringify({ tenants });
const mib = 2 ** 20;

let apis: readonly [TestApi, TestApi];
/** Ends every call that a test has left waiting. */
let hangUp: AbortController;

beforeAll(async () => {
  const env = { PROMPTMILL_API_KEYS: names.map((name) => `${name}:${name}-key-0001`).join(',') };
  const first = await startTestApi({ redisUrl: inject('redisUrl'), env, configFile });
  apis = [first, await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...first.shared }, configFile })];
  hangUp = new AbortController();
});
afterAll(async () => {
  hangUp.abort();
  await apis[1].close();
  await apis[0].close();
});

const bodyOf = (content: string): string =>
  JSON.stringify({ model: 'simulator/echo', messages: [{ role: 'user', content }] });

interface CallOptions {
  readonly api?: 0 | 1;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Makes a call that waits, since no worker is there. Resolves with its answer, or undefined when it is hung up. */
const call = async (tenant: string, { api = 0, body = bodyOf('Hi'), signal = hangUp.signal }: CallOptions = {}) => {
  const answer = await fetch(`${apis[api].url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant}-key-0001`, 'content-type': 'application/json' },
    body,
    signal,
  }).catch(() => undefined);
  if (!answer) return undefined;
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), ...error };
};

/** How many jobs wait in the lane. */
const waiting = (): Promise<number> => apis[0].redis.zcard(apis[0].keys.laneJobs('simulator', 'prioritized'));

it('a tenant has no more calls waiting than it may, on two apis together, and each that ends makes room', async () => {
  const leave = new AbortController();
  const refused: Awaited<ReturnType<typeof call>>[] = [];
  const start = (i: number, signal = hangUp.signal): void => {
    void call('few', { api: i % 2 === 0 ? 0 : 1, signal }).then((answer) => answer && refused.push(answer));
  };
  // One api alone may have them all.
  start(0, leave.signal);
  await expect.poll(waiting).toBe(1);
  for (let i = 1; i < 21; i++) start(i);
  await expect.poll(waiting).toBe(5);
  await expect.poll(() => refused.length).toBe(16);
  expect(refused[0]).toMatchObject({ status: 429, code: 'too_many_live_calls', retryAfter: '1' });
  expect(refused[0]?.message).toContain('You have 5 live calls that wait for their answers; 5 are allowed');
  leave.abort();
  await expect.poll(waiting).toBe(4);
  // The api that had it has given its place back.
  start(1);
  await expect.poll(waiting).toBe(5);
  expect(refused).toHaveLength(16);
  hangUp.abort();
  hangUp = new AbortController();
  await expect.poll(waiting).toBe(0);
});

it('an api that has died holds places for 30 s', async () => {
  const { redis, keys } = apis[0];
  const die = async (untilMs: number): Promise<void> => {
    await redis.zadd(keys.places('few', 'live-calls'), untilMs, 'dead-api');
    await redis.hset(keys.reservedLiveCalls('few'), 'dead-api', 5);
  };
  await die(Date.now() + 30_000);
  expect(await call('few')).toMatchObject({ code: 'too_many_live_calls' });
  await die(Date.now() - 1);
  void call('few');
  await expect.poll(waiting).toBe(1);
  expect(await redis.zcount(keys.places('few', 'live-calls'), `(${Date.now() + 30_000}`, '+inf')).toBe(0);
  hangUp.abort();
  hangUp = new AbortController();
  await expect.poll(waiting).toBe(0);
});

it('a call that waits outlives the limit of its connection, which is used again', async () => {
  const api = await startTestApi({ redisUrl: inject('redisUrl'), idleTimeoutMs: 2000 });
  const agent = new Agent({ keepAlive: true });
  const send = async (route: string, patience: string, body: string) => {
    const headers = {
      authorization: `Bearer ${keys.alice}`,
      'content-type': 'application/json',
      'x-promptmill-timeout': patience,
    };
    const sent = request(`${api.url}${route}`, { method: 'POST', headers, agent });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const { socket } = answer;
    answer.resume();
    await once(answer, 'end');
    return { status: answer.statusCode, socket };
  };
  const { status, socket } = await send('/v1/chat/completions', '4', bodyOf('Hi'));
  expect(status).toBe(504);
  const again = await send('/v1/chat/completions', '0.01', bodyOf('Hi'));
  expect(again).toMatchObject({ status: 504, socket });
  agent.destroy();
  await api.close();
});

it('the bodies of a tenant’s calls that wait are bounded, and no other tenant is refused for them', async () => {
  const large = bodyOf('x'.repeat(7 * mib));
  const refused: Awaited<ReturnType<typeof call>>[] = [];
  for (let i = 0; i < 9; i++) {
    void call('bytes', { body: large }).then((answer) => answer && refused.push(answer));
    await expect.poll(waiting, { timeout: 5000 }).toBe(i + 1);
  }
  const answer = await call('bytes', { body: large });
  expect(answer).toMatchObject({ status: 429, code: 'too_many_live_bytes', retryAfter: '1' });
  void call('bytes');
  void call('other', { body: large });
  await expect.poll(waiting).toBe(11);
  expect(refused).toEqual([]);
  hangUp.abort();
  hangUp = new AbortController();
  await expect.poll(waiting).toBe(0);
});

it('a caller who leaves while its call is being admitted leaves nothing behind', async () => {
  const url = `${apis[0].url}/v1/chat/completions`;
  const headers = { authorization: 'Bearer leaving-key-0001', 'content-type': 'application/json' };
  for (let turns = 0; turns < 100; turns++) {
    const sent = request(url, { method: 'POST', headers, agent: false });
    sent.on('error', () => {});
    sent.end(bodyOf('Hi'));
    await once(sent, 'finish');
    for (let i = 0; i < turns % 25; i++) await nextTurn();
    sent.destroy();
  }
  await expect.poll(waiting).toBe(0);
});
