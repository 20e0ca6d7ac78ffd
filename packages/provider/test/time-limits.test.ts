import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Provider } from '@promptmill/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderClient } from '../src/index.ts';
import { startTestProvider, type TestProvider } from '../../../tests/support/test-provider.ts';
import { createTestClient, testRequest } from './test-client.ts';

/** How late a limit may end a call on a busy machine. */
const slackMs = 1000;

let upstream: TestProvider;
let client: ProviderClient;
/** Resolves when the provider sees its connection closed. */
let closed: Promise<unknown>;

beforeEach(async () => {
  upstream = await startTestProvider();
});

afterEach(async () => {
  await client.close();
  await upstream.close();
});

const call = async (limits: Partial<Provider>, body: Record<string, unknown> = {}) => {
  client = createTestClient({ baseUrl: upstream.baseUrl, ...limits });
  const startedAt = performance.now();
  const result = await client.call(testRequest({ body: { model: 'm', messages: [], ...body } }));
  return { result, tookMs: performance.now() - startedAt };
};

const timedOut = (message: string) => ({ kind: 'failure', class: 'retry', code: 'request_timeout', message });

const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream' };

/** Answers with headers, and then with a piece every 20 ms, `times` pieces in all. */
const answerSlowly = (headers: Record<string, string>, piece: string, times = Infinity): void => {
  upstream.answerWith((_request, response) => {
    closed = once(response, 'close');
    response.writeHead(200, headers).flushHeaders();
    let sent = 0;
    const timer = setInterval(() => {
      if (sent++ < times) response.write(piece);
    }, 20);
    response.on('close', () => clearInterval(timer));
  });
};

describe.each([
  ['an answer', json, ' '],
  ['a stream', events, 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'],
])('%s', (_what, headers, piece) => {
  it('that never begins ends at the whole limit, and frees its connection', async () => {
    upstream.answerWith((_request, response) => {
      closed = once(response, 'close');
    });
    const { result, tookMs } = await call({ timeoutMs: 100 });
    expect(result).toEqual(timedOut('test gave no complete answer within 100 ms'));
    expect(tookMs).toBeLessThan(100 + slackMs);
    await closed;
  });

  it('that never begins ends at the first-byte limit when that is shorter', async () => {
    upstream.answerWith(() => {});
    const { result, tookMs } = await call({ firstByteTimeoutMs: 100 });
    expect(result).toEqual(timedOut('test sent no answer within 100 ms'));
    expect(tookMs).toBeLessThan(100 + slackMs);
  });

  it('that stalls after its headers ends at the first-byte limit', async () => {
    answerSlowly(headers, '', 0);
    const { result } = await call({ firstByteTimeoutMs: 100, idleTimeoutMs: 10 });
    expect(result).toEqual(timedOut('test sent no answer within 100 ms'));
    await closed;
  });

  it('that stalls in the middle ends at the idle limit', async () => {
    answerSlowly(headers, piece, 3);
    const { result, tookMs } = await call({ idleTimeoutMs: 150 });
    expect(result).toEqual(timedOut('test fell silent for 150 ms in its answer'));
    expect(tookMs).toBeLessThan(3 * 20 + 150 + slackMs);
    await closed;
  });

  it('that trickles ends at the whole limit', async () => {
    answerSlowly(headers, piece);
    const { result, tookMs } = await call({ timeoutMs: 1000, idleTimeoutMs: 700 });
    expect(result).toEqual(timedOut('test gave no complete answer within 1000 ms'));
    expect(tookMs).toBeLessThan(1000 + slackMs);
    await closed;
  });
});

it('an error answer that stalls in its body ends at the idle limit', async () => {
  upstream.answerWith((_request, response) => {
    response.writeHead(503, json).write('{"error":');
  });
  expect((await call({ idleTimeoutMs: 100 })).result).toEqual(timedOut('test fell silent for 100 ms in its answer'));
});

it('an answer that takes longer than the idle limit to begin is waited for', async () => {
  const answer = { choices: [{ index: 0, message: { content: 'x' }, finish_reason: 'stop' }] };
  upstream.answerWith((_request, response) => {
    setTimeout(() => response.writeHead(200, json).end(JSON.stringify(answer)), 150);
  });
  expect((await call({ idleTimeoutMs: 50 })).result).toMatchObject({ kind: 'success', json: JSON.stringify(answer) });
});

it('a call without a connection ends at the connect limit', async () => {
  // The server takes the connection, and never answers the TLS handshake.
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const { result, tookMs } = await call({ baseUrl: `https://127.0.0.1:${port}/v1`, connectTimeoutMs: 200 });
  expect(result).toMatchObject({ class: 'retry', code: 'connection_error' });
  expect(result).toHaveProperty('message', expect.stringMatching(/connect.timeout/i));
  expect(tookMs).toBeLessThan(200 + slackMs);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});
