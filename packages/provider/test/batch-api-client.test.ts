import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestProvider, type TestProvider } from '../../../tests/support/test-provider.ts';
import { type BatchApiClient, BatchApiError, createBatchApiClient, readBatchLine } from '../src/index.ts';

let provider: TestProvider;
let client: BatchApiClient;
const { signal } = new AbortController();

beforeEach(async () => {
  provider = await startTestProvider();
  client = createBatchApiClient({
    name: 'test',
    baseUrl: provider.baseUrl,
    apiKeyEnv: 'TEST_KEY',
    apiKey: 'secret-key-1',
    timeoutMs: 5000,
    probeIntervalMs: 1000,
    limits: {},
    models: {},
    prices: {},
  });
});
afterEach(async () => {
  await client.close();
  await provider.close();
});

const batchOf = (id: string, more: object = {}) => ({
  id,
  object: 'batch',
  status: 'in_progress',
  created_at: 1000,
  ...more,
});

/** Answers each path with what stands for it; any other is an error. */
const answerPaths =
  (answers: Readonly<Record<string, unknown>>): RequestListener =>
  ({ url = '' }, response) => {
    const isKnown = Object.hasOwn(answers, url);
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown ? answers[url] : { error: { message: `no ${url}` } }));
  };

test('an upload says how long it is, and is one form with the lines as they are', async () => {
  provider.answerJson(200, { id: 'file-1' });
  const lines = ['{"a":1}\n', '{"b":"é"}\n'].map((line) => Buffer.from(line));
  async function* some() {
    yield* lines;
  }
  const bytes = Buffer.concat(lines).length;
  const upload = { filename: 'shard.jsonl', bytes, lines: some(), idempotencyKey: 'k1', signal };
  expect(await client.upload(upload)).toBe('file-1');
  const [call] = provider.calls;
  expect(call?.headers).toMatchObject({
    authorization: 'Bearer secret-key-1',
    'content-type': expect.stringMatching(/^multipart\/form-data; boundary=/) as string,
    'idempotency-key': 'k1',
  });
  expect(Number(call?.headers['content-length'])).toBe(Buffer.byteLength(String(call?.body)));
  const form = await new Response(String(call?.body), {
    headers: { 'content-type': String(call?.headers['content-type']) },
  }).formData();
  expect(form.get('purpose')).toBe('batch');
  const file = form.get('file') as File;
  expect([file.name, await file.text()]).toEqual(['shard.jsonl', '{"a":1}\n{"b":"é"}\n']);
});

test('a batch is found by its metadata, page by page, as far back as it can be', async () => {
  const wanted = batchOf('b3', { metadata: { promptmill_shard: 'x' }, input_file_id: 'file-1' });
  provider.answerWith(
    answerPaths({
      '/v1/batches?limit=100': { data: [batchOf('b1', { metadata: null }), batchOf('b2')], has_more: true },
      '/v1/batches?limit=100&after=b2': { data: [wanted, batchOf('b4', { created_at: 1 })], has_more: true },
    }),
  );
  const search = { since: 1000, signal };
  expect(await client.findBatch('promptmill_shard', 'x', search)).toMatchObject({ id: 'b3', inputFileId: 'file-1' });
  expect(await client.findBatch('promptmill_shard', 'y', search)).toBeUndefined();
  expect(provider.calls).toHaveLength(4);
});

test('a file is found by its name and length', async () => {
  const files = [
    { id: 'file-1', filename: 'a.jsonl', bytes: 5, created_at: 1000 },
    { id: 'file-2', filename: 'a.jsonl', bytes: 7, created_at: 1000 },
  ];
  provider.answerWith(answerPaths({ '/v1/files?purpose=batch&order=desc&limit=100': { data: files } }));
  expect(await client.findFile({ filename: 'a.jsonl', bytes: 7 }, { since: 0, signal })).toBe('file-2');
  expect(await client.findFile({ filename: 'b.jsonl', bytes: 7 }, { since: 0, signal })).toBeUndefined();
});

test('what is gone is no failure', async () => {
  provider.answerWith(answerPaths({}));
  expect(await client.get('b1', signal)).toBeUndefined();
  expect(await client.download('file-1', signal)).toBeUndefined();
  await client.cancel('b1', signal);
  await client.deleteFile('file-1', signal);
});

test('a batch that has ended tells how, and why it failed', async () => {
  provider.answerJson(
    200,
    batchOf('b1', {
      status: 'failed',
      request_counts: { total: 2, completed: 0, failed: 0 },
      errors: { object: 'list', data: [{ code: 'token_limit_exceeded', message: 'Enqueued token limit reached' }] },
    }),
  );
  expect(await client.get('b1', signal)).toMatchObject({
    hasEnded: true,
    counts: { total: 2, completed: 0, failed: 0 },
    errors: [{ code: 'token_limit_exceeded' }],
  });
});

test.each([
  { status: 401, failure: { class: 'provider', code: 'authentication_failed' } },
  { status: 429, failure: { class: 'retry', code: 'rate_limited', retryAfterMs: 7000 } },
  { status: 500, failure: { class: 'retry', code: 'provider_error' } },
  { status: 400, failure: { class: 'final', code: 'bad_request' } },
])('$status is what it is for a call', async ({ status, failure }) => {
  provider.answerJson(status, { error: { message: 'no, not with secret-key-1' } }, { 'retry-after': '7' });
  const error = await client.get('b1', signal).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BatchApiError);
  expect((error as BatchApiError).failure).toMatchObject(failure);
  expect((error as BatchApiError).message).not.toContain('secret-key-1');
});

test('a list that is a page of HTML is a failure', async () => {
  provider.answerText(200, 'text/html', '<html></html>');
  await expect(client.findBatch('a', 'b', { since: 0, signal })).rejects.toThrow(BatchApiError);
});

test('a file comes piece by piece, and one that breaks off is a failure', async () => {
  provider.answerWith((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"a":1}\n');
    setImmediate(() => response.destroy());
  });
  const content = await client.download('file-1', signal);
  const read = async () => {
    for await (const piece of content ?? []) expect(piece.toString()).toBe('{"a":1}\n');
  };
  await expect(read()).rejects.toThrow(BatchApiError);
});

test('a line has an answer, or says that there is none', () => {
  const answered = { custom_id: '7', response: { status_code: 200, request_id: 'r', body: { a: 1 } }, error: null };
  expect(readBatchLine(JSON.stringify(answered))).toEqual({
    customId: '7',
    response: { statusCode: 200, requestId: 'r', body: { a: 1 } },
  });
  const expired = { custom_id: '8', response: null, error: { code: 'batch_expired', message: 'late' } };
  expect(readBatchLine(JSON.stringify(expired))).toEqual({ customId: '8', response: undefined });
  expect(readBatchLine('{"custom_id"')).toBeUndefined();
});

test('an answer in a line is checked as that of a call', () => {
  const answer = (statusCode: number, body: unknown) =>
    client.readAnswer('/v1/chat/completions', { statusCode, requestId: 'r', body });
  expect(answer(200, { choices: [{ message: { content: 'Hi' } }], usage: { prompt_tokens: 2 } })).toMatchObject({
    kind: 'success',
    requestId: 'r',
    usage: { inputTokens: 2 },
  });
  expect(answer(200, { error: 'none' })).toMatchObject({ kind: 'failure', class: 'retry', code: 'invalid_answer' });
  expect(answer(400, { error: { message: 'no' } })).toMatchObject({ kind: 'failure', class: 'final' });
});
