import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, test, vi } from 'vitest';
import { startForTest } from './start-for-test.ts';

test('limits are strict: the call over the limit is refused, with the wait in its headers', async () => {
  const simulator = await startForTest({ limits: { requestsPerMinute: 20, tokensPerMinute: 1_000_000 } });
  const responses = await Promise.all(Array.from({ length: 21 }, (_, index) => simulator.ask(`Prompt ${index}`)));
  const refused = responses.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(1);
  const [{ headers }] = refused as [Response];
  expect(await refused[0]!.json()).toMatchObject({ error: { type: 'requests', code: 'rate_limit_exceeded' } });
  const waitMs = Number(headers.get('retry-after-ms'));
  expect(waitMs).toBeGreaterThan(50_000);
  expect(headers.get('retry-after')).toBe(String(Math.ceil(waitMs / 1000)));
  expect(headers.get('x-ratelimit-limit-requests')).toBe('20');
  expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');
  expect(headers.get('x-ratelimit-reset-requests')).toMatch(/^(1m0s|5\ds)$/);
  expect(headers.get('x-ratelimit-limit-tokens')).toBe('1000000');
  expect(simulator.stats().refused).toEqual({ requests: 1, tokens: 0, 'in-flight': 0 });
  const log = await simulator.readLog(21);
  expect(log.filter(({ status, fault }) => status === 429 && fault === undefined)).toHaveLength(1);
});

test('a refused call fits after the wait in its headers', async () => {
  const simulator = await startForTest({ limits: { requestsPerMinute: 120, windowMs: 1000 } });
  await Promise.all([simulator.ask('a'), simulator.ask('b')]);
  const refused = await simulator.ask('c');
  expect(refused.status).toBe(429);
  await new Promise((resolve) => setTimeout(resolve, Number(refused.headers.get('retry-after-ms'))));
  expect((await simulator.ask('c')).status).toBe(200);
});

test('maxInFlight counts calls until they end', async () => {
  const simulator = await startForTest({ limits: { maxInFlight: 2 } });
  const caller = new AbortController();
  const hanging = [1, 2].map((n) => simulator.ask(`${n} [[sim:fault=hang]]`, { signal: caller.signal }));
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(2));
  expect((await simulator.ask('third')).status).toBe(429);
  caller.abort();
  await Promise.allSettled(hanging);
  await vi.waitFor(async () => expect((await simulator.ask('fourth')).status).toBe(200));
});

test('a call over maxInFlight may be refused with another status than 429', async () => {
  const simulator = await startForTest({ limits: { maxInFlight: 1, maxInFlightStatus: 503 } });
  const caller = new AbortController();
  const hanging = simulator.ask('[[sim:fault=hang]]', { signal: caller.signal });
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(1));
  const refused = await simulator.ask('second');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, null]);
  caller.abort();
  await Promise.allSettled([hanging]);
});

test('latency holds the answer back, by configuration and by marker', async () => {
  const simulator = await startForTest({ latency: { kind: 'fixed', ms: 120 } });
  await Promise.all([simulator.ask('as configured'), simulator.ask('[[sim:latency=0]]')]);
  const log = await simulator.readLog(2);
  const [marked, configured] = log.map(({ at, endedAt }) => endedAt - at);
  expect(configured).toBeGreaterThanOrEqual(119);
  expect(marked).toBeLessThan(100);
  expect(simulator.stats().peakInFlight).toBe(2);
});

test('the call log has every call, with its key and what it cost', async () => {
  const simulator = await startForTest();
  await simulator.ask('Four token text', { headers: { 'idempotency-key': 'batch_1-0' } });
  await simulator.ask('[[sim:status=500]]');
  const log = await simulator.readLog(2);
  expect(log).toEqual([
    {
      at: expect.any(Number),
      endedAt: expect.any(Number),
      key: 'batch_1-0',
      status: 200,
      path: '/v1/chat/completions',
      model: 'echo',
      inFlight: 1,
      tokens: 8,
    },
    expect.objectContaining({ key: null, status: 500, fault: 'status', tokens: 0 }),
  ]);
});

test('a caller that goes away while it waits is logged', async () => {
  const simulator = await startForTest({ latency: { kind: 'fixed', ms: 60_000 } });
  const caller = new AbortController();
  const answer = simulator.ask('Hi', { signal: caller.signal });
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(1));
  caller.abort();
  await expect(answer).rejects.toThrow('aborted');
  expect(await simulator.readLog(1)).toMatchObject([{ status: 0, aborted: true }]);
  expect(simulator.stats()).toMatchObject({ inFlight: 0, aborted: 1 });
});

test('a caller that goes away in the middle of its own body is logged', async () => {
  const simulator = await startForTest();
  const socket = connect(simulator.port, '127.0.0.1');
  socket.write('POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"model":');
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(1));
  socket.destroy();
  expect(await simulator.readLog(1)).toMatchObject([{ status: 0, model: null, tokens: 0, aborted: true }]);
});

test('close cuts off what is in flight and writes its lines before it resolves', async () => {
  const simulator = await startForTest();
  const answers = Promise.allSettled(Array.from({ length: 30 }, () => simulator.ask('[[sim:fault=hang]]')));
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(30));
  await simulator.close();
  expect((await answers).every(({ status }) => status === 'rejected')).toBe(true);
  const log = await simulator.readLog(30);
  expect(log.every(({ fault, aborted }) => fault === 'hang' && aborted)).toBe(true);
});

test('without being asked to, nobody controls it', async () => {
  const simulator = await startForTest();
  const change = { method: 'POST', body: JSON.stringify({ errorRate: 1 }) };
  expect((await fetch(new URL('/control', simulator.url), change)).status).toBe(404);
  expect((await fetch(new URL('/control/stats', simulator.url))).status).toBe(404);
  expect((await simulator.ask('Hi')).status).toBe(200);
});

test('only this machine controls it', async () => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === 'IPv4' && !found.internal)?.address;
  if (address === undefined) return;
  const simulator = await startForTest({ control: true, host: '0.0.0.0' });
  const stats = `http://${address}:${simulator.port}/control/stats`;
  expect((await fetch(stats)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${simulator.port}/control/stats`)).status).toBe(200);
});

test('control changes the behaviour while it runs, or says what is wrong with the change', async () => {
  const simulator = await startForTest({ control: true });
  const control = (change: object) =>
    fetch(new URL('/control', simulator.url), { method: 'POST', body: JSON.stringify(change) });
  const changed = await control({ errorRate: 1, errorStatus: 503 });
  expect(await changed.json()).toMatchObject({ errorRate: 1, errorStatus: 503, latency: { kind: 'fixed', ms: 0 } });
  expect((await simulator.ask('Hi')).status).toBe(503);
  const refused = await control({ errorRate: 2 });
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { code: 'invalid_behaviour' } }]);
  const large = await control({ errorHeaders: { 'x-large': 'x'.repeat(100_000) } });
  expect(large.status).toBe(413);
  expect((await simulator.ask('Hi')).status).toBe(503);
  const stats = await fetch(new URL('/control/stats', simulator.url));
  expect(await stats.json()).toMatchObject({ calls: 2, statuses: { '503': 2 }, faults: { status: 2 } });
});

test('a stream pauses between two events', async () => {
  const simulator = await startForTest({ chunkDelayMs: 20 });
  const { body } = await simulator.ask('Some text that takes more than one delta', { stream: true });
  const arrivedAt: number[] = [];
  let text = '';
  for await (const piece of body!.pipeThrough(new TextDecoderStream())) {
    arrivedAt.push(performance.now());
    text += piece;
  }
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  const events = text.split('\n\n').length - 1;
  expect(arrivedAt.at(-1)! - arrivedAt[0]!).toBeGreaterThan(((events - 1) * 20) / 2);
  await simulator.readLog(1);
});

const askTier = async (url: string, path: string, body: object) => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(`${url}${path}`, init);
  return { status: answer.status, body: await answer.json() };
};

test('a flex tier takes a share of its calls, says so, and refuses the others with the status that it is told', async () => {
  const simulator = await startForTest({ flex: { takes: 0, status: 429 } });
  const messages = [{ role: 'user', content: 'Hi' }];
  const ask = (tier: string) =>
    askTier(simulator.url, '/chat/completions', { model: 'echo', messages, service_tier: tier });
  expect(await ask('flex')).toMatchObject({ status: 429, body: { error: { code: 'resource_unavailable' } } });
  simulator.configure({ flex: { takes: 0, status: 498 } });
  expect(await ask('flex')).toMatchObject({ status: 498, body: { error: { code: 'capacity_exceeded' } } });
  expect(await ask('default')).toMatchObject({ status: 200, body: { service_tier: 'default' } });
  simulator.configure({ flex: { takes: 1, status: 429 } });
  expect(await ask('flex')).toMatchObject({ status: 200, body: { service_tier: 'flex' } });
  const response = { model: 'echo', input: 'Hi', service_tier: 'flex' };
  expect(await askTier(simulator.url, '/responses', response)).toMatchObject({ body: { service_tier: 'flex' } });
  simulator.configure({ flex: { takes: 0.5, status: 429 } });
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask('flex')));
  const taken = answers.filter(({ status }) => status === 200).length;
  expect(taken).toBeGreaterThan(60);
  expect(taken).toBeLessThan(140);
  expect((await simulator.readLog(205)).filter(({ tier }) => tier === 'flex')).toHaveLength(204);
});
