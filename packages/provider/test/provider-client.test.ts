import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Provider } from '@promptmill/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderClient, ProviderClientOptions } from '../src/index.ts';
import { freePort } from '../../../tests/support/free-port.ts';
import { startTestProvider, type TestProvider } from '../../../tests/support/test-provider.ts';
import { createTestClient, testRequest } from './test-client.ts';

const apiKey = 'sk-test-0123456789';
const completion = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } },
};

function* endless() {
  for (;;) yield 'x'.repeat(1000);
}

let upstream: TestProvider;
let client: ProviderClient | undefined;

beforeEach(async () => {
  upstream = await startTestProvider();
});

afterEach(async () => {
  await client?.close();
  client = undefined;
  await upstream.close();
});

const connect = (provider: Partial<Provider> = {}, options: Partial<ProviderClientOptions> = {}): ProviderClient =>
  (client = createTestClient({ baseUrl: upstream.baseUrl, apiKey, ...provider }, options));

describe('one call for several requests for embeddings', () => {
  const inputs = [
    { kind: 'texts', items: ['one'], size: 3 },
    { kind: 'texts', items: ['two', 'three'], size: 8 },
  ] as const;
  const { idempotencyKey, signal } = testRequest();
  const embed = () => connect().embed({ body: { model: 'm', dimensions: 1 }, inputs, idempotencyKey, signal });
  const entries = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ object: 'embedding', index, embedding: [index] }));

  it('asks for all inputs, and gives each request an answer of its own', async () => {
    upstream.answerJson(200, { data: entries(3), usage: { prompt_tokens: 11 } }, { 'x-request-id': 'req_1' });
    const answer = (json: object, inputTokens: number) => ({
      kind: 'success',
      statusCode: 200,
      requestId: 'req_1',
      json: JSON.stringify(json),
      usage: { inputTokens, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 },
      headers: {},
    });
    expect(await embed()).toMatchObject({
      kind: 'success',
      answers: [
        answer({ data: entries(1), usage: { prompt_tokens: 3 } }, 3),
        answer(
          {
            data: [
              { object: 'embedding', index: 0, embedding: [1] },
              { object: 'embedding', index: 1, embedding: [2] },
            ],
            usage: { prompt_tokens: 8 },
          },
          8,
        ),
      ],
    });
    expect(upstream.calls[0]).toMatchObject({
      url: '/v1/embeddings',
      body: { model: 'm', dimensions: 1, input: ['one', 'two', 'three'] },
      headers: { 'idempotency-key': idempotencyKey },
    });
  });

  it('fails as a whole: with too few embeddings, with an error, and as an empty stream', async () => {
    upstream.answerJson(200, { data: entries(2), usage: { prompt_tokens: 7 } });
    const usage = { inputTokens: 7 };
    expect(await embed()).toMatchObject({ kind: 'failure', class: 'retry', code: 'invalid_answer', usage });
    upstream.answerJson(400, { error: { message: 'too long' } });
    expect(await embed()).toMatchObject({ kind: 'failure', class: 'final', code: 'bad_request' });
    upstream.answerText(200, 'text/event-stream', 'data: [DONE]\n\n');
    expect(await embed()).toMatchObject({ kind: 'failure', code: 'invalid_answer' });
  });
});

describe('a good answer', () => {
  it('comes back whole, with its request id and usage', async () => {
    upstream.answerJson(200, completion, { 'x-request-id': 'req_1' });
    expect(await connect().call(testRequest())).toEqual({
      kind: 'success',
      statusCode: 200,
      requestId: 'req_1',
      json: JSON.stringify(completion),
      usage: { inputTokens: 9, cachedTokens: 4, outputTokens: 3, reasoningTokens: 0 },
      headers: {},
    });
  });

  it('stays as it came, on one line', async () => {
    upstream.answerText(200, 'application/json', ' {"data": [1.0, 1e400, "\\u00e9"]}\t');
    expect(await connect().call(testRequest({ url: '/v1/embeddings' }))).toMatchObject({
      json: '{"data": [1.0, 1e400, "\\u00e9"]}',
    });
    upstream.answerText(200, 'application/json', '{\r\n  "data": [1]\n}\n');
    expect(await connect().call(testRequest({ url: '/v1/embeddings' }))).toMatchObject({ json: '{"data":[1]}' });
  });

  it('fails when it is nested a hundred thousand deep', async () => {
    const content = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    upstream.answerText(200, 'application/json', `{"choices":[{"message":{"content":${content}}}]}`);
    expect(await connect().call(testRequest())).toMatchObject({
      kind: 'failure',
      class: 'final',
      code: 'answer_not_storable',
    });
  });

  it('is kept as text when it is an error nested a hundred thousand deep', async () => {
    const text = `{"error":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    upstream.answerText(400, 'application/json', text);
    expect(await connect().call(testRequest())).toMatchObject({ code: 'bad_request', response: { body: text } });
  });

  it('is asked for with the key, the Idempotency-Key and the body', async () => {
    upstream.answerJson(200, completion);
    const body = { model: 'm', messages: [], temperature: 0, stream: false };
    await connect().call(testRequest({ body }));
    const [call] = upstream.calls;
    expect(call?.url).toBe('/v1/chat/completions');
    expect(call?.headers).toMatchObject({ authorization: `Bearer ${apiKey}`, 'idempotency-key': 'batch_1-0' });
    expect(call?.body).toEqual({ model: 'm', messages: [], temperature: 0 });
  });

  it('needs no key where the provider has none', async () => {
    upstream.answerJson(200, { data: [] });
    client = createTestClient({ baseUrl: `${upstream.baseUrl}/` });
    expect(await client.call(testRequest({ url: '/v1/embeddings' }))).toMatchObject({ kind: 'success' });
    expect(upstream.calls[0]?.url).toBe('/v1/embeddings');
    expect(upstream.calls[0]?.headers).not.toHaveProperty('authorization');
  });

  it('comes over one connection when calls follow one another', async () => {
    upstream.answerJson(200, completion);
    const client = connect();
    for (let count = 0; count < 5; count++) {
      await client.call(testRequest());
      // A connection is free again one turn of the event loop after its answer.
      await setImmediate();
    }
    expect(upstream.calls).toHaveLength(5);
    expect(upstream.connections()).toBe(1);
  });
});

describe('an error answer', () => {
  it('500: retry, with the whole answer', async () => {
    const body = { error: { message: 'Oops', type: 'server_error' }, trace: 'abc' };
    upstream.answerJson(500, body, { 'x-request-id': 'req_2' });
    expect(await connect().call(testRequest())).toEqual({
      kind: 'failure',
      class: 'retry',
      code: 'provider_error',
      message: 'test answered 500: Oops',
      response: { statusCode: 500, requestId: 'req_2', body },
    });
    expect(upstream.calls).toHaveLength(1);
  });

  it('429: retry, after the time that it asks for', async () => {
    upstream.answerJson(429, { error: { message: 'Slow down' } }, { 'retry-after': '120' });
    expect(await connect().call(testRequest())).toMatchObject({
      class: 'retry',
      code: 'rate_limited',
      retryAfterMs: 120_000,
    });
  });

  it('502 with a page of HTML: retry, with the page as its body', async () => {
    upstream.answerText(502, 'text/html', '<h1>Bad gateway</h1>');
    const result = await connect().call(testRequest());
    expect(result).toMatchObject({
      class: 'retry',
      code: 'provider_error',
      response: { body: '<h1>Bad gateway</h1>' },
    });
  });

  it('503 without a body: retry', async () => {
    upstream.answerText(503, 'application/json', '');
    const result = await connect().call(testRequest());
    expect(result).toMatchObject({
      class: 'retry',
      code: 'provider_overloaded',
      response: { statusCode: 503, body: '' },
    });
  });

  it('a redirect: final, and not followed', async () => {
    upstream.answerWith((_request, response) => response.writeHead(307, { location: '/v1/elsewhere' }).end());
    expect(await connect().call(testRequest())).toMatchObject({ class: 'final', code: 'unexpected_redirect' });
    expect(upstream.calls).toHaveLength(1);
  });

  it('401 that echoes the key: final for the provider, the key in none of it', async () => {
    upstream.answerJson(401, { error: { message: `Incorrect API key provided: ${apiKey}.`, keys: [apiKey] } });
    const result = await connect({ apiKey: `${apiKey}\n` }).call(testRequest());
    expect(result).toMatchObject({
      class: 'provider',
      code: 'authentication_failed',
      message: 'test answered 401: Incorrect API key provided: [redacted].',
      response: { body: { error: { keys: ['[redacted]'] } } },
    });
    expect(JSON.stringify(result)).not.toContain(apiKey);
  });
});

describe('a 200 that is no answer: retry', () => {
  it.each([
    ['a page of HTML', 'text/html', '<html>Sign in</html>'],
    ['invalid JSON', 'application/json', '{"choices": [{'],
    ['nothing', 'application/json', ''],
    ['an error with status 200', 'application/json', '{"error":{"message":"upstream"}}'],
    ['the answer of another endpoint', 'application/json', '{"object":"list","data":[]}'],
  ])('%s', async (_what, contentType, text) => {
    upstream.answerText(200, contentType, text);
    const result = await connect().call(testRequest());
    expect(result).toMatchObject({ kind: 'failure', class: 'retry', code: 'invalid_answer' });
    expect(result).not.toHaveProperty('response');
  });

  it('shows no part of the key in its message', async () => {
    upstream.answerText(200, 'text/html', `${'-'.repeat(195)}${apiKey}`);
    const result = await connect().call(testRequest());
    expect(result).toHaveProperty('message', expect.not.stringContaining('sk-'));
  });

  it('takes JSON of another content type', async () => {
    upstream.answerText(200, 'text/plain', JSON.stringify(completion));
    expect(await connect().call(testRequest())).toMatchObject({ kind: 'success', json: JSON.stringify(completion) });
  });
});

describe('no answer', () => {
  it('a body cut off: retry', async () => {
    upstream.answerWith((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"choices":', () => response.destroy());
    });
    expect(await connect().call(testRequest())).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it('an error answer cut off: retry', async () => {
    upstream.answerWith((_request, response) => {
      response.writeHead(400, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"error":', () => response.destroy());
    });
    expect(await connect().call(testRequest())).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it('a reset connection: retry', async () => {
    upstream.answerWith((incoming) => incoming.socket.resetAndDestroy());
    expect(await connect().call(testRequest())).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it('nobody at the address: retry', async () => {
    await upstream.close();
    const result = await connect().call(testRequest());
    expect(result).toMatchObject({ class: 'retry', code: 'connection_error' });
    expect(result).toHaveProperty('message', expect.not.stringMatching(/ECONNREFUSED|127/));
    expect(result).toHaveProperty('detail', expect.stringContaining('ECONNREFUSED'));
  });

  it('no such host: retry', async () => {
    // Over 63 characters: no resolver needs to be asked.
    const result = await connect({ baseUrl: `http://${'x'.repeat(64)}/v1` }).call(testRequest());
    expect(result).toMatchObject({ class: 'retry', code: 'connection_error' });
  });

  it('an answer without end: final, and not read on', async () => {
    upstream.answerWith((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      Readable.from(endless()).pipe(response);
    });
    const result = await connect({}, { maxAnswerBytes: 10_000 }).call(testRequest());
    expect(result).toMatchObject({ class: 'final', code: 'answer_too_large' });
  });
});

describe('the signal', () => {
  it('aborts a call under way', async () => {
    const controller = new AbortController();
    const closed = new Promise((resolve) => {
      upstream.answerWith((_request, response) => {
        response.on('close', resolve);
        controller.abort();
      });
    });
    expect(await connect().call(testRequest({ signal: controller.signal }))).toEqual({ kind: 'aborted' });
    await closed;
  });

  it('keeps a call from starting', async () => {
    expect(await connect().call(testRequest({ signal: AbortSignal.abort() }))).toEqual({ kind: 'aborted' });
    expect(upstream.calls).toHaveLength(0);
  });
});

describe('a call that may be kept back', () => {
  it('is not sent, and leaves its connection to the next', async () => {
    upstream.answerJson(200, completion);
    const provider = connect();
    expect(await provider.call(testRequest({ maySend: () => false }))).toEqual({ kind: 'unsent' });
    expect(upstream.calls).toHaveLength(0);
    expect(await provider.call(testRequest({ maySend: () => true }))).toMatchObject({ kind: 'success' });
    expect([upstream.calls.length, upstream.connections()]).toEqual([1, 1]);
  });

  it('is asked about once it has a connection, and not before', async () => {
    const seenThen: number[] = [];
    const maySend = () => seenThen.push(upstream.calls.length) > 0;
    const nobody = connect({ baseUrl: `http://127.0.0.1:${await freePort()}/v1` });
    expect(await nobody.call(testRequest({ maySend }))).toMatchObject({ code: 'connection_error' });
    expect(seenThen).toEqual([]);
    await nobody.close();

    upstream.answerJson(200, completion);
    const provider = connect({}, { maxConnections: 1 });
    const both = [provider.call(testRequest({ maySend })), provider.call(testRequest({ maySend }))];
    expect(await Promise.all(both)).toMatchObject([{ kind: 'success' }, { kind: 'success' }]);
    expect(seenThen).toEqual([0, 1]);
  });
});

it('refuses a key that no header can carry, without showing it', () => {
  expect(() => connect({ apiKey: 'sk-two\nlines', apiKeyEnv: 'TEST_KEY' })).toThrow(
    expect.objectContaining({ code: 'invalid_config', message: expect.not.stringContaining('lines') as string }),
  );
});

describe('the list of models', () => {
  const list = (): ReturnType<ProviderClient['listModels']> => connect().listModels(new AbortController().signal);

  it('gives their names', async () => {
    upstream.answerJson(200, { object: 'list', data: [{ id: 'grok-4' }, { id: 'grok-3' }, {}] });
    expect(await list()).toEqual({ kind: 'models', names: ['grok-4', 'grok-3'] });
    expect(upstream.calls[0]).toMatchObject({ url: '/v1/models', headers: { authorization: `Bearer ${apiKey}` } });
  });

  it('fails as a call does', async () => {
    upstream.answerJson(401, { error: { message: `Incorrect API key: ${apiKey}` } });
    const refused = await list();
    expect(refused).toMatchObject({ kind: 'failure', code: 'authentication_failed' });
    expect(JSON.stringify(refused)).not.toContain(apiKey);
  });

  it('fails when a page comes instead', async () => {
    upstream.answerText(200, 'text/html', '<html>');
    expect(await list()).toMatchObject({ kind: 'failure', code: 'invalid_answer' });
  });
});

describe('a neutral look', () => {
  const answer = (withKey: number, withoutKey: number): void =>
    upstream.answerWith(({ headers }, response) => {
      const status = headers.authorization ? withKey : withoutKey;
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"object":"list","data":[]}');
    });
  const { signal } = new AbortController();

  it.each([
    ['shows a good key where nobody else gets the list', 200, 401, 'accepted'],
    ['shows nothing where everybody gets it', 200, 200, 'unclear'],
    ['shows nothing where there is no list', 404, 404, 'unclear'],
    ['shows nothing where the provider is broken', 500, 401, 'unclear'],
    ['shows a refused key', 401, 401, 'refused'],
    ['shows a key without money', 402, 401, 'refused'],
  ])('%s: %i with the key, %i without it', async (_, withKey, withoutKey, verdict) => {
    answer(withKey, withoutKey);
    expect(await connect().look(signal)).toMatchObject({ verdict });
  });

  it('shows nothing of a provider that needs no key, unless it refuses', async () => {
    client = createTestClient({ baseUrl: upstream.baseUrl });
    answer(200, 200);
    expect(await client.look(signal)).toEqual({ verdict: 'unclear' });
    answer(200, 403);
    expect(await client.look(signal)).toMatchObject({ verdict: 'refused', failure: { code: 'permission_denied' } });
  });
});
