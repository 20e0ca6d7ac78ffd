import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openFileStore } from '@promptmill/files';
import { closeRedis, connectRedis } from '@promptmill/queue';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type LocalRedis, startLocalRedis } from '../support/local-redis.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startTestProvider, type TestProvider } from '../support/test-provider.ts';
import { startTraceReceiver, type TraceReceiver } from '../support/trace-receiver.ts';

/** One value for each place of a secret. None may be found anywhere else. */
const canaries = {
  providerKey: 'canary-provider-3f9a1c',
  apiKey: 'canary-tenant-7be204',
  wrongApiKey: 'canary-wrong-key-81d0',
  boardPassword: 'canary-board-c55e19',
  wrongBoardPassword: 'canary-wrong-board-22af',
  redisPassword: 'canary-redis-0d7e66',
  // The account of the S3 server in the tests.
  s3Secret: 'S3RVER',
  tracesToken: 'canary-traces-41b8fe',
};

const promptCount = 12;

/** What is a tenant's own: its webhook's secret, and what is behind the host of its URL. */
const webhookSecret = `whsec_${Buffer.from('canary-webhook-secret-6d02').toString('base64')}`;
const webhookPath = 'canary-webhook-path-b3c7';

/** What a caller of a live call says. It is in no log, metric or trace. */
const livePrompt = 'canary-prompt-9e41';

let redis: LocalRedis;
let s3: S3Server;
let provider: TestProvider;
let traces: TraceReceiver;
let stack: Stack;
let client: OpenAI;

beforeAll(async () => {
  [redis, s3, provider, traces] = await Promise.all([
    startLocalRedis([]),
    startS3Server(),
    startTestProvider(),
    startTraceReceiver(),
  ]);
  const open = connectRedis({ url: redis.url, whileAway: 'wait', onError: () => {} });
  await open.config('SET', 'requirepass', canaries.redisPassword);
  await closeRedis(open);
  stack = await startStack({
    redisUrl: redis.url.replace('//', `//:${canaries.redisPassword}@`),
    env: {
      LOG_LEVEL: 'trace',
      PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true',
      LAB_API_KEY: canaries.providerKey,
      PROMPTMILL_API_KEYS: `ada:${canaries.apiKey}`,
      BOARD_USER: 'ops',
      BOARD_PASSWORD: canaries.boardPassword,
      PROMPTMILL_STORE: `s3://${s3.bucket}/mill`,
      S3_ENDPOINT: s3.endpoint,
      OTEL_EXPORTER_OTLP_ENDPOINT: traces.url,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${canaries.tracesToken}`,
      ...s3.credentials,
    },
    files: {
      'promptmill.yaml': JSON.stringify({
        providers: { lab: { baseUrl: provider.baseUrl, apiKeyEnv: 'LAB_API_KEY', probeIntervalMs: 200 } },
        retry: { attempts: 2, baseDelayMs: 10, maxDelayMs: 20 },
      }),
    },
  });
  client = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: canaries.apiKey, maxRetries: 0 });
});

afterAll(async () => {
  await stack.stop();
  await Promise.all([provider.close(), s3.stop(), redis.stop(), traces.close()]);
});

/** A provider that repeats the key in every error, in each way in which an error can come. */
const echoKey = (): void => {
  let calls = 0;
  provider.answerWith((request, response) => {
    const key = request.headers.authorization ?? '';
    const error = { error: { message: `bad header ${key}`, type: key, code: 'bad', headers: request.headers } };
    const json = (status: number, headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(error));
    const answers = [
      () => json(400),
      () => json(422, { 'x-request-id': key }),
      () => json(500),
      () => response.writeHead(502, { 'content-type': 'text/html' }).end(`<h1>${key}</h1>`),
      () => response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${key}</h1>`),
      () => response.writeHead(307, { location: `http://127.0.0.1:1/?${key}` }).end(),
      () => json(429, { 'retry-after-ms': '10' }),
    ];
    answers[calls++ % answers.length]?.();
  });
};

const valueOf = async (client: ReturnType<typeof connectRedis>, key: string): Promise<unknown> => {
  const type = await client.type(key);
  if (type === 'hash') return client.hgetall(key);
  if (type === 'list') return client.lrange(key, 0, -1);
  if (type === 'set') return client.smembers(key);
  if (type === 'zset') return client.zrange(key, '0', '-1');
  if (type === 'stream') return client.xrange(key, '-', '+');
  return client.getBuffer(key);
};

const redisContent = async (): Promise<string> => {
  const url = redis.url.replace('//', `//:${canaries.redisPassword}@`);
  const open = connectRedis({ url, whileAway: 'wait', onError: () => {} });
  try {
    const keys = await open.keys('*');
    expect(keys.length).toBeGreaterThan(20);
    const values = await Promise.all(keys.map(async (key) => [key, await valueOf(open, key)]));
    return values
      .map(
        ([key, value]) =>
          `${String(key)} ${value instanceof Buffer ? value.toString('latin1') : JSON.stringify(value)}`,
      )
      .join('\n');
  } finally {
    await closeRedis(open);
  }
};

const storeContent = async (): Promise<string> => {
  const before = { ...process.env };
  Object.assign(process.env, s3.credentials);
  try {
    const files = await openFileStore({
      kind: 's3',
      bucket: s3.bucket,
      prefix: 'mill/',
      endpoint: s3.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
    });
    const stored = await Array.fromAsync(files.list(''));
    expect(stored.length).toBeGreaterThan(2);
    const contents = await Promise.all(stored.map(async ({ key }) => `${key} ${await text(await files.get(key))}`));
    return contents.join('\n');
  } finally {
    process.env = before;
  }
};

/** Each answer with its headers. */
const answersOf = async (requests: readonly (readonly [path: string, init?: RequestInit])[]): Promise<string> => {
  const answers = await Promise.all(
    requests.map(async ([path, init]) => {
      const answer = await fetch(new URL(path, stack.api.url), init);
      return `${path} ${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`;
    }),
  );
  return answers.join('\n');
};

/** Live calls, streamed and not, one for each of the provider's ways to answer and a few more. */
const liveAnswers = async (): Promise<string> => {
  const answers: string[] = [];
  for (let i = 0; i < 16; i++) {
    const call = {
      method: 'POST',
      headers: {
        authorization: `Bearer ${canaries.apiKey}`,
        'content-type': 'application/json',
        'x-promptmill-timeout': '0.3',
      },
      body: JSON.stringify({
        model: 'lab/any',
        messages: [{ role: 'user', content: livePrompt }],
        stream: i % 2 === 0,
        metadata: { livePrompt },
      }),
    };
    answers.push(await answersOf([['/v1/chat/completions', call]]));
  }
  return answers.join('\n');
};

const basic = (password: string) => ({
  headers: { authorization: `Basic ${Buffer.from(`ops:${password}`).toString('base64')}` },
});
const bearer = (key: string, init: RequestInit = {}): RequestInit => ({
  ...init,
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
});

it('no secret is in a log, in Redis, in the store, in a metric, in a trace, on the Board or in an error', async () => {
  echoKey();
  const webhook = { webhook_url: `https://127.0.0.1:1/${webhookPath}?${webhookPath}`, webhook_secret: webhookSecret };
  const failed = await createBatch(client, inputOf(promptCount, undefined, 'lab/any'), { promptmill: webhook });
  const { id, error_file_id: errorFileId } = await untilBatch(client, failed.id);
  expect(await (await client.files.content(errorFileId ?? '')).text()).toContain('bad header Bearer [redacted]');

  const live = await liveAnswers();
  expect(live).toContain('bad header Bearer [redacted]');

  provider.answerWith((request, response) => {
    const body = JSON.stringify({ error: { message: `Incorrect API key provided: ${request.headers.authorization}` } });
    response.writeHead(401, { 'content-type': 'application/json' }).end(body);
  });
  const held = await createBatch(client, inputOf(promptCount, undefined, 'lab/any'));
  interface Lane {
    readonly id: string;
    readonly held_until: number | null;
  }
  await expect
    .poll(async () => {
      const answer = await fetch(`${stack.api.url}/v1/lanes`, bearer(canaries.apiKey));
      return ((await answer.json()) as { data: Lane[] }).data.find((lane) => lane.id === 'lab');
    })
    .toMatchObject({ held_until: expect.any(Number) as number });

  const metrics = await Promise.all(
    [stack.api, ...stack.workers, ...stack.collectors].map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
  );
  const isWhole = ({ name }: { name: string }) => name === 'batch' || name.startsWith('POST');
  await expect.poll(() => traces.spans.filter(isWhole).length).toBe(17);
  expect(traces.headers.every(({ authorization }) => authorization === canaries.tracesToken)).toBe(true);
  const board = '/admin/queues/api/queues';
  const places = {
    answers: await answersOf([
      [`/v1/batches/${id}`, bearer(canaries.apiKey)],
      [`/v1/batches/${held.id}`, bearer(canaries.apiKey)],
      [`/v1/batches/${id}/results`, bearer(canaries.apiKey)],
      ['/v1/lanes', bearer(canaries.apiKey)],
      ['/v1/batches', bearer(canaries.wrongApiKey)],
      ['/v1/nothing', bearer(canaries.apiKey)],
      ['/v1/batches', bearer(canaries.apiKey, { method: 'POST', body: '{' })],
      ['/admin/queues', basic(canaries.wrongBoardPassword)],
      ...[
        '',
        '?activeQueue=lab&status=failed',
        '?activeQueue=lab&status=latest',
        '?activeQueue=batches',
        '?activeQueue=webhooks',
      ].map((query) => [`${board}${query}`, basic(canaries.boardPassword)] as const),
    ]),
    live,
    metrics: metrics.join('\n'),
    traces: traces.bodies.map((body) => body.toString('latin1')).join('\n'),
    redis: await redisContent(),
    store: await storeContent(),
    logs: readdirSync(stack.directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => readFileSync(join(stack.directory, name), 'utf8'))
      .join('\n'),
  };
  for (const [place, content] of Object.entries(places)) {
    expect([place, content.length > 500]).toEqual([place, true]);
    for (const [secret, canary] of Object.entries(canaries))
      expect([place, secret, excerptOf(content, canary)]).toEqual([place, secret, undefined]);
  }
  expect(places.logs).toContain(id);
  for (const place of ['logs', 'metrics', 'traces', 'live'] as const)
    expect([place, excerptOf(places[place], livePrompt)]).toEqual([place, undefined]);
  const jobs = places.redis.split('\n').filter((line) => line.includes(':{q-'));
  for (const [place, content] of Object.entries({ ...places, redis: jobs.join('\n'), store: '' }))
    for (const canary of [webhookSecret, webhookSecret.slice(6), webhookPath])
      expect([place, excerptOf(content, canary)]).toEqual([place, undefined]);
  expect(jobs.join('\n')).toContain('whd_');
});

/** What stands around a text that should not be there; undefined where it is not. */
const excerptOf = (content: string, needle: string): string | undefined => {
  const at = content.indexOf(needle);
  return at === -1 ? undefined : content.slice(Math.max(0, at - 300), at + 100);
};
