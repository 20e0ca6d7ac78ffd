import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { Provider } from '@promptmill/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerDelta, CallRequest, ProviderClient } from '../src/index.ts';
import { startTestProvider, type TestProvider } from '../../../tests/support/test-provider.ts';
import { createTestClient, testRequest } from './test-client.ts';

let upstream: TestProvider;
let client: ProviderClient;

beforeEach(async () => {
  upstream = await startTestProvider();
});

afterEach(async () => {
  await client.close();
  await upstream.close();
});

const connect = (provider: Partial<Provider> = {}): ProviderClient =>
  (client = createTestClient({ baseUrl: upstream.baseUrl, ...provider }));

const request = (more: Partial<CallRequest> = {}): CallRequest =>
  testRequest({ body: { model: 'm', messages: [], stream: true }, ...more });

const eventText = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const chunk = (delta: unknown, finishReason: string | null = null) =>
  eventText({ id: 'c1', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }] });
const usage = eventText({ id: 'c1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } });
const done = 'data: [DONE]\n\n';
const hello = [chunk({ role: 'assistant', content: 'Bon' }), chunk({ content: 'jour' }), chunk({}, 'stop')];

const answerEvents = (...pieces: string[]): void =>
  upstream.answerWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-request-id': 'req_1' });
    for (const piece of pieces) response.write(piece);
    response.end();
  });

/** Sends the pieces and cuts the connection. */
const answerAndCut = (...pieces: string[]): void =>
  upstream.answerWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(pieces.join(''), () => response.destroy());
  });

it('a streamed answer comes back whole, and its text as it comes', async () => {
  answerEvents(...hello, usage, done);
  const deltas: AnswerDelta[] = [];
  expect(await connect().call(request({ onDelta: (delta) => deltas.push(delta) }))).toEqual({
    kind: 'success',
    statusCode: 200,
    requestId: 'req_1',
    json: JSON.stringify({
      id: 'c1',
      object: 'chat.completion',
      usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
    }),
    usage: { inputTokens: 9, cachedTokens: 0, outputTokens: 3, reasoningTokens: 0 },
    headers: {},
  });
  expect(deltas).toEqual([
    { index: 0, text: 'Bon' },
    { index: 0, text: 'jour' },
  ]);
});

it('a stream leaves its connection to the next call', async () => {
  answerEvents(...hello, usage, done);
  const client = connect();
  for (let count = 0; count < 5; count++) {
    expect(await client.call(request())).toMatchObject({ kind: 'success' });
    // A connection is free again one turn of the event loop after its answer.
    await setImmediate();
  }
  expect(upstream.connections()).toBe(1);
});

describe('the body of a streamed call', () => {
  it.each<[string, Partial<CallRequest>, Partial<Provider>, Record<string, unknown>]>([
    ['asks for the usage', {}, {}, { stream: true, stream_options: { include_usage: true } }],
    [
      'keeps other options',
      { body: { model: 'm', stream: true, stream_options: { include_obfuscation: false } } },
      {},
      { stream: true, stream_options: { include_obfuscation: false, include_usage: true } },
    ],
    ['does not ask a provider that refuses it', {}, { streamUsage: false }, { stream: true }],
    ['does not ask /v1/responses', { url: '/v1/responses' }, {}, { stream: true }],
    ['has no `stream` where there is no streaming', { url: '/v1/embeddings' }, {}, {}],
  ])('%s', async (_what, more, provider, expected) => {
    answerEvents(done);
    await connect(provider).call(request(more));
    const { model: _model, messages: _messages, ...rest } = (upstream.calls[0]?.body ?? {}) as Record<string, unknown>;
    expect(rest).toEqual(expected);
  });
});

describe('a stream is tried again', () => {
  it('when its connection is cut', async () => {
    answerAndCut(...hello.slice(0, 2));
    expect(await connect().call(request())).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it('when its connection is cut after one of two choices', async () => {
    answerAndCut(...hello);
    const body = { model: 'm', messages: [], stream: true, n: 2 };
    expect(await connect().call(request({ body }))).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it.each([
    ['it ends before the finish reason', hello.slice(0, 2)],
    ['it says too early that it is done', [...hello.slice(0, 2), done]],
    ['it ends within an event', [...hello.slice(0, 2), chunk({ content: '!' }).slice(0, 30)]],
    ['it has no event but [DONE]', [done]],
    ['an event of it is no JSON', ['data: {"choices": [\n\n', ...hello, done]],
    ['it reports an error', [...hello.slice(0, 1), eventText({ error: { message: 'Upstream died' } })]],
    ['an event of it is an error', [...hello.slice(0, 1), 'event: error\ndata: {"message":"Upstream died"}\n\n']],
  ])('when %s', async (_what, pieces) => {
    answerEvents(...pieces);
    expect(await connect().call(request())).toMatchObject({ class: 'retry', code: 'incomplete_stream' });
  });

  it('when a response has failed', async () => {
    const failed = {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error', message: 'Oops' } },
    };
    answerEvents(`event: response.failed\n${eventText(failed)}`);
    expect(await connect().call(request({ url: '/v1/responses' }))).toMatchObject({
      class: 'retry',
      code: 'incomplete_stream',
      message: 'test reported an error in its stream: Oops',
    });
  });
});

it('a stream that says the money ran out stops the provider', async () => {
  answerEvents(eventText({ error: { code: 'insufficient_quota', message: 'No credits left' } }));
  expect(await connect().call(request())).toMatchObject({ class: 'provider', code: 'insufficient_quota' });
});

it('the signal aborts a stream and closes its connection', async () => {
  const controller = new AbortController();
  let closed: Promise<unknown> | undefined;
  upstream.answerWith((_request, response) => {
    closed = once(response, 'close');
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(hello[0]);
  });
  const onDelta = (): void => controller.abort();
  expect(await connect().call(request({ signal: controller.signal, onDelta }))).toEqual({ kind: 'aborted' });
  await closed;
});

it('a streamed call also takes an answer that comes whole', async () => {
  const answer = { object: 'chat.completion', choices: [{ message: { content: 'x' }, finish_reason: 'stop' }] };
  upstream.answerJson(200, answer);
  expect(await connect().call(request())).toMatchObject({ kind: 'success', json: JSON.stringify(answer) });
});

it('a stream needs no [DONE] after the finish reason', async () => {
  answerEvents(...hello);
  expect(await connect().call(request())).toMatchObject({ kind: 'success' });
});

it('a stream is cut off at the size of the largest answer', async () => {
  upstream.answerWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = (): void => {
      while (!response.destroyed && response.write(chunk({ content: 'x'.repeat(1000) })));
    };
    response.on('drain', more);
    more();
  });
  client = createTestClient({ baseUrl: upstream.baseUrl }, { maxAnswerBytes: 100_000 });
  expect(await client.call(request())).toMatchObject({ class: 'final', code: 'answer_too_large' });
});
