import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { startForTest } from './start-for-test.ts';

test('hang: no answer for as long as the caller waits', async () => {
  const simulator = await startForTest();
  const caller = new AbortController();
  const answer = simulator.ask('[[sim:fault=hang]]', { signal: caller.signal });
  await vi.waitFor(() => expect(simulator.stats().inFlight).toBe(1));
  caller.abort();
  await expect(answer).rejects.toThrow('aborted');
  expect(await simulator.readLog(1)).toMatchObject([{ status: 0, fault: 'hang', aborted: true }]);
});

test('hang-after-headers: headers, then nothing', async () => {
  const simulator = await startForTest();
  const caller = new AbortController();
  const response = await simulator.ask('[[sim:fault=hang-after-headers]]', { signal: caller.signal });
  expect(response.status).toBe(200);
  caller.abort();
  await expect(response.text()).rejects.toThrow('aborted');
  expect(await simulator.readLog(1)).toMatchObject([{ status: 200, fault: 'hang-after-headers', aborted: true }]);
});

test('hang-mid-body: half of the answer, then nothing', async () => {
  const simulator = await startForTest();
  const caller = new AbortController();
  const response = await simulator.ask('[[sim:fault=hang-mid-body]]', { signal: caller.signal });
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  expect(value).toHaveLength(Math.ceil(Number(response.headers.get('content-length')) / 2));
  caller.abort();
  await expect(reader.read()).rejects.toThrow('aborted');
  expect(await simulator.readLog(1)).toMatchObject([{ status: 200, aborted: true }]);
});

test('truncate: the connection ends with a FIN before the body has its length', async () => {
  const simulator = await startForTest();
  const raw = await exchangeRaw(simulator.port, '[[sim:fault=truncate]]');
  const [head = '', body = ''] = raw.split('\r\n\r\n');
  expect(body.length).toBe(Math.ceil(Number(/content-length: (\d+)/.exec(head)?.[1]) / 2));
  await expect((await simulator.ask('[[sim:fault=truncate]]')).text()).rejects.toThrow('terminated');
  const log = await simulator.readLog(2);
  expect(log).toMatchObject([
    { status: 200, fault: 'truncate' },
    { status: 200, fault: 'truncate' },
  ]);
  expect(log.every((entry) => entry.aborted === undefined)).toBe(true);
});

test('stream-cut: some events, then a dead connection and no [DONE]', async () => {
  const simulator = await startForTest();
  const response = await simulator.ask('[[sim:fault=stream-cut]]', { stream: true });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const received: Uint8Array[] = [];
  await expect(async () => {
    for await (const chunk of response.body!) received.push(chunk);
  }).rejects.toThrow('terminated');
  const text = Buffer.concat(received).toString();
  expect(text).toMatch(/^data: \{/);
  expect(text).not.toContain('[DONE]');
});

test('reset: the connection is torn down without an answer', async () => {
  const simulator = await startForTest();
  await expect(exchangeRaw(simulator.port, '[[sim:fault=reset]]')).rejects.toMatchObject({ code: 'ECONNRESET' });
  const [entry] = await simulator.readLog(1);
  expect(entry).toMatchObject({ status: 0, fault: 'reset' });
  expect(entry?.aborted).toBeUndefined();
});

test('trickle: a byte a second', async () => {
  const simulator = await startForTest();
  const response = await simulator.ask('[[sim:fault=trickle]]');
  const reader = response.body!.getReader();
  const read = [await reader.read(), await reader.read()];
  expect(read.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(['{', '"']);
  await reader.cancel();
  const [entry] = await simulator.readLog(1);
  expect(entry!.endedAt - entry!.at).toBeGreaterThanOrEqual(1900);
});

test.each([
  ['html', 'text/html; charset=utf-8', /^<!doctype html>/],
  ['empty', 'application/json', /^$/],
  ['invalid-json', 'application/json', /^\{"id":"sim","object":$/],
  ['wrong-shape', 'application/json', /^\{"status":"ok","choices":null\}$/],
  ['too-deep', 'application/json', /\[{1000}.*\]{1000}/],
])('%s: success with the wrong body', async (fault, contentType, body) => {
  const simulator = await startForTest();
  const response = await simulator.ask(`[[sim:fault=${fault}]]`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, contentType]);
  expect(await response.text()).toMatch(body);
});

test('content-filter: a good answer with that finish reason', async () => {
  const simulator = await startForTest();
  const response = await simulator.ask('[[sim:fault=content-filter]]');
  expect(await response.json()).toMatchObject({ choices: [{ finish_reason: 'content_filter' }] });
});

test('insufficient_quota: a 429 that says so', async () => {
  const simulator = await startForTest();
  const response = await simulator.ask('[[sim:fault=insufficient_quota]]');
  expect([response.status, await response.json()]).toMatchObject([429, { error: { code: 'insufficient_quota' } }]);
});

test.each([400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529])('status %d', async (status) => {
  const simulator = await startForTest();
  const response = await simulator.ask(`[[sim:status=${status};retry-after=2]]`);
  expect(response.status).toBe(status);
  expect(response.headers.get('retry-after')).toBe('2');
  expect(await response.json()).toEqual({
    error: { message: expect.any(String), type: expect.any(String), param: null, code: expect.toSatisfy(isCode) },
  });
  expect(await simulator.readLog(1)).toMatchObject([{ status, fault: 'status', tokens: 0 }]);
});

test('times: the first calls of each key fail, and then they succeed', async () => {
  const simulator = await startForTest();
  const statuses = async (key: string) => {
    const seen: number[] = [];
    for (let call = 0; call < 3; call++) {
      const response = await simulator.ask('[[sim:status=503;times=2]]', { headers: { 'idempotency-key': key } });
      seen.push(response.status);
      await response.text();
    }
    return seen;
  };
  expect(await statuses('batch_1-0')).toEqual([503, 503, 200]);
  expect(await statuses('batch_1-1')).toEqual([503, 503, 200]);
});

test('a marker that cannot be read is a 400, not a good answer', async () => {
  const simulator = await startForTest();
  const response = await simulator.ask('[[sim:fault=hnag]]');
  expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'invalid_marker' } }]);
});

test('faults come at the rates of the configuration', async () => {
  const simulator = await startForTest({ faults: { html: 1 } });
  expect((await simulator.ask('Hi')).headers.get('content-type')).toContain('text/html');
  simulator.configure({ faults: {}, errorRate: 1, errorStatus: 502 });
  expect((await simulator.ask('Hi')).status).toBe(502);
  simulator.configure({ errorStatus: 429, errorHeaders: { 'retry-after': '7' } });
  const refused = await simulator.ask('Hi');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '7']);
});

function isCode(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

/** Makes one call on a bare socket, and returns all that came until the other side closed it. */
function exchangeRaw(port: number, prompt: string): Promise<string> {
  const body = JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: prompt }] });
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.on('error', reject);
    socket.on('end', () => resolve(received));
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  });
}
