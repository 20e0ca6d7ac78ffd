import { type BatchUsage, field, noUsage } from '@promptmill/core';
import { createResultRecorder } from '@promptmill/queue';
import { createBatchStore } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { newBatch } from '../../../packages/queue/test/new-batch.ts';
import { inputFile, line, lines } from './support/input.ts';
import { adminKey, keys, startTestApi, type TestApi } from './support/test-api.ts';

type Json = Readonly<Record<string, unknown>>;

const configFile = `
providers:
  simulator: { models: { echo: { prices: { input: 1, output: 2 } } } }
  xai: { models: { dear: { prices: { input: 100, output: 200 } } } }
`;
const metricsToken = 'metrics-token-0001';

let api: TestApi;

beforeAll(async () => {
  const env = { PROMPTMILL_ADMIN_KEY: adminKey, PROMPTMILL_METRICS_TOKEN: metricsToken };
  api = await startTestApi({ redisUrl: inject('redisUrl'), env, configFile });
});
afterAll(() => api.close());

const ask = async (route: string, { key = keys.alice, body }: { key?: string; body?: unknown } = {}) => {
  const response = await fetch(api.url + route, {
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, never> };
};
const rowsOf = async (route: string, key = keys.alice): Promise<Json[]> =>
  ((await ask(route, { key })).body as unknown as { data: Json[] }).data;
const cost = (spent: number | null, known = spent ?? 0) => ({ currency: 'USD', spent, spent_known: known, wasted: 0 });

/** A batch of a tenant whose requests were answered on a day. The cost of an answer is in dollars. */
const answered = async (
  tenant: string,
  day: string,
  model: string,
  count: number,
  { usd, usage = {} }: { usd?: number; usage?: Partial<BatchUsage> } = {},
): Promise<string> => {
  const nowMs = Date.parse(`${day}T12:00:00Z`);
  const store = createBatchStore(api.redis, api.keys);
  const batch = newBatch({ tenant, createdAt: nowMs / 1000 });
  await store.create(batch);
  await store.confirmCreated(batch, nowMs);
  await store.transition(batch.id, 'in_progress', nowMs, { total: count });
  const recorder = createResultRecorder(api.redis, api.keys, () => nowMs);
  const nanoUsd = usd === undefined ? undefined : Math.round(usd * 1e9);
  const charge = { tenant, model, nanoUsd, inputCharacters: 10 };
  const each = { ...noUsage, inputTokens: 10, outputTokens: 5, ...usage };
  for (let index = 0; index < count; index++)
    await recorder.record({ batchId: batch.id, index, bytes: 1 }, 'completed', '{}', each, charge);
  return batch.id;
};

describe('GET /v1/usage', () => {
  let ids: readonly [first: string, second: string];

  beforeAll(async () => {
    await answered('alice', '2026-03-01', 'xai/old', 1, { usd: 9 });
    ids = [
      await answered('alice', '2026-04-01', 'xai/a', 2, { usd: 0.1 }),
      await answered('alice', '2026-04-02', 'xai/b', 3, { usd: 0.2, usage: { cachedTokens: 4 } }),
    ];
    await answered('bob', '2026-04-02', 'vllm/own', 1, {});
  });

  const april = 'from=2026-04-01&to=2026-04-30';

  it('sums up by day', async () => {
    const row = { object: 'usage', reasoning_tokens: 0, unpriced_answers: 0 };
    expect((await ask(`/v1/usage?${april}`)).body).toEqual({
      object: 'list',
      data: [
        {
          ...row,
          day: '2026-04-01',
          answers: 2,
          input_tokens: 20,
          cached_tokens: 0,
          output_tokens: 10,
          cost: cost(0.2),
        },
        {
          ...row,
          day: '2026-04-02',
          answers: 3,
          input_tokens: 30,
          cached_tokens: 12,
          output_tokens: 15,
          cost: cost(0.6),
        },
      ],
      has_more: false,
    });
  });

  it('sums up by model, and by batch in pages', async () => {
    expect(await rowsOf(`/v1/usage?by=model&${april}`)).toMatchObject([
      { model: 'xai/a', answers: 2, cost: cost(0.2) },
      { model: 'xai/b', answers: 3, cost: cost(0.6) },
    ]);
    const page = await ask(`/v1/usage?by=batch&limit=1&${april}`);
    expect(page.body).toMatchObject({ data: [{ batch_id: ids[1], answers: 3, cost: cost(0.6) }], has_more: true });
    const next = await ask(`/v1/usage?by=batch&limit=1&after=${ids[1]}&${april}`);
    expect(next.body).toMatchObject({ data: [{ batch_id: ids[0], answers: 2, cost: cost(0.2) }], has_more: false });
  });

  it('shows the last 30 days unless asked for others', async () => {
    const today = new Date().toISOString().slice(0, 10);
    await answered('bob', today, 'xai/a', 1, { usd: 1 });
    expect(await rowsOf('/v1/usage', keys.bob)).toMatchObject([{ day: today, cost: cost(1) }]);
  });

  it('shows a tenant its own only, and an admin everyone’s', async () => {
    expect(await rowsOf(`/v1/usage?by=model&${april}`, keys.bob)).toMatchObject([{ model: 'vllm/own' }]);
    const all = await rowsOf(`/v1/admin/usage?${april}`, adminKey);
    expect(all).toMatchObject([
      { tenant: 'alice', answers: 5, cost: cost(0.8) },
      // What is not known is not 0.
      { tenant: 'bob', answers: 1, cost: cost(null), unpriced_answers: 1 },
    ]);
    expect(await rowsOf(`/v1/admin/usage?by=model&tenant=bob&${april}`, adminKey)).toMatchObject([
      { model: 'vllm/own' },
    ]);
    expect(await rowsOf(`/v1/admin/usage?by=day&${april}`, adminKey)).toMatchObject([
      { day: '2026-04-01', cost: cost(0.2) },
      { day: '2026-04-02', cost: cost(null, 0.6), answers: 4 },
    ]);
  });

  it.each([
    'from=2026-04-02&to=2026-04-01',
    'from=2024-01-01&to=2026-01-01',
    'from=2026-02-30',
    'from=1',
    'by=week',
    'by=batch&after=batch_x',
  ])('refuses %s', async (query) => {
    expect((await ask(`/v1/usage?${query}`)).status).toBe(400);
  });
});

describe('/metrics', () => {
  const metrics = async (key: string): Promise<string> =>
    (await fetch(`${api.url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text();

  it('shows what tenants spend to who has its token or an admin key, and to no tenant', async () => {
    expect(await metrics(metricsToken)).toContain('promptmill_spent_usd_total');
    expect(await metrics(adminKey)).toContain('promptmill_spent_usd_total');
    const seen = await metrics(keys.bob);
    expect(seen).toContain('promptmill_calls_total');
    expect(seen).not.toContain('promptmill_spent_usd_total');
  });
});

describe('POST /v1/batches/estimate', () => {
  const estimate = (body: unknown, key = keys.alice) => ask('/v1/batches/estimate', { key, body });
  const upload = async (content: string): Promise<Json> => {
    const file = await api.alice.files.create({ file: await inputFile(content), purpose: 'batch' });
    return { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  };
  const words = (count: number): string => Array.from({ length: count }, (_, i) => `word${i % 9}`).join(' ');
  const prompt = (i: number, content: string, more: object = {}): string =>
    line(i, { body: { model: 'simulator/echo', messages: [{ role: 'user', content }], ...more } });

  it('of prompts says what they cost at least, and at most where the output is limited', async () => {
    const { status, body } = await estimate({
      model: 'simulator/echo',
      prompts: ['Hello world', 'Hello'],
      params: { max_tokens: 100 },
    });
    // 2 + 1 tokens of text, 1 of each role, and 7 that a chat adds to each.
    const [input, output] = [2 + 1 + 2 + 14, 200];
    const range = { low: 0, expected: null, high: output };
    const price = { currency: 'USD', low: input / 1e6, expected: null, high: (input + 2 * output) / 1e6 };
    expect([status, body]).toEqual([
      200,
      {
        object: 'batch.estimate',
        requests: 2,
        counted_requests: 2,
        input_tokens: input,
        output_tokens: range,
        cost: price,
        models: [
          {
            model: 'simulator/echo',
            requests: 2,
            known_answers: 0,
            input_tokens: input,
            output_tokens: range,
            cost: price,
          },
        ],
      },
    ]);
    expect((await ask('/v1/files')).body).toMatchObject({ data: [] });
  });

  it('of a batch whose requests may get copies has no least price', async () => {
    const prompts = { model: 'simulator/echo', prompts: ['Hello'], params: { max_tokens: 100, temperature: 0 } };
    const costOf = async (promptmill: object): Promise<unknown> =>
      field((await estimate({ ...prompts, promptmill })).body, 'cost');
    const called = await costOf({});
    expect(called).toMatchObject({ low: expect.any(Number), high: expect.any(Number) });
    expect(called).not.toMatchObject({ low: 0 });
    expect(await costOf({ dedupe: true })).toEqual({ ...(called as object), low: 0 });
    expect(await costOf({ cache: '7d' })).toEqual({ ...(called as object), low: 0 });
  });

  it('of a file with several models sums them up; one unknown price makes the sum unknown', async () => {
    const body = await upload(
      prompt(0, 'Hi') + prompt(1, 'Hi', { model: 'xai/dear' }) + prompt(2, 'Hi', { model: 'xai/dear' }),
    );
    const known = await estimate(body);
    expect(known.body).toMatchObject({
      requests: 3,
      models: [
        { model: 'simulator/echo', requests: 1, cost: { low: expect.any(Number) } },
        { model: 'xai/dear', requests: 2 },
      ],
    });
    const unknown = await estimate(await upload(prompt(0, 'Hi') + prompt(1, 'Hi', { model: 'simulator/other' })));
    expect(unknown.body).toMatchObject({
      input_tokens: expect.any(Number),
      cost: { low: null, expected: null, high: null },
      models: [{ cost: { low: expect.any(Number) } }, { cost: { low: null } }],
    });
  });

  it('of a large file counts a part, and is nearly what the whole comes to', async () => {
    const count = 20_000;
    const content = Array.from({ length: count }, (_, i) => prompt(i, words(10 + (i % 70)), { max_tokens: 10 })).join(
      '',
    );
    const { body } = await estimate(await upload(content));
    const { requests, counted_requests: counted, input_tokens: tokens } = body as unknown as Record<string, number>;
    expect([requests, counted]).toEqual([count, expect.any(Number)]);
    expect(counted).toBeLessThan(count / 4);
    // Each word is two tokens; 8 more for the role and what a chat adds.
    const exact = Array.from({ length: count }, (_, i) => 2 * (10 + (i % 70)) + 8).reduce((a, b) => a + b, 0);
    expect(Math.abs((tokens ?? 0) / exact - 1)).toBeLessThan(0.05);
    expect(body).toMatchObject({ output_tokens: { high: 10 * count } });
  });

  it('expects what the tenant’s latest answers used, and nothing of another’s', async () => {
    const today = new Date().toISOString().slice(0, 10);
    await answered('alice', today, 'simulator/echo', 200, { usd: 1, usage: { inputTokens: 4, outputTokens: 50 } });
    const body = { model: 'simulator/echo', prompts: Array(100).fill('Hello') };
    expect((await estimate(body)).body).toMatchObject({
      models: [{ known_answers: 200, output_tokens: { low: 4500, expected: 5000, high: 5500 } }],
      cost: { expected: expect.closeTo((400 + 2 * 5000) / 1e6, 4) },
    });
    expect((await estimate(body, keys.bob)).body).toMatchObject({ models: [{ known_answers: 0 }] });
  });

  it.each<[what: string, content: string, code: string]>([
    ['no model of ours', prompt(0, 'Hi', { model: 'nobody/model' }), 'model_not_found'],
    ['a line that is no JSON', `${lines(1)}{\n`, 'invalid_json_line'],
    [
      'another endpoint',
      line(0, { url: '/v1/embeddings', body: { model: 'simulator/echo', input: 'Hi' } }),
      'url_mismatch',
    ],
  ])('refuses a file that would fail a batch: %s', async (_what, content, code) => {
    expect(await estimate(await upload(content))).toMatchObject({ status: 400, body: { error: { code } } });
  });

  it('refuses prompts for a model that is not there, and a file that is not there', async () => {
    expect(await estimate({ model: 'nobody/model', prompts: ['Hi'] })).toMatchObject({
      status: 400,
      body: { error: { code: 'model_not_found', param: 'model' } },
    });
    expect((await estimate({ ...(await upload(lines(1))), input_file_id: 'file-none' })).status).toBe(400);
  });

  it('makes one estimate of a tenant at a time', async () => {
    const body = { model: 'simulator/echo', prompts: Array.from({ length: 2000 }, () => words(50)) };
    const statuses = (await Promise.all([estimate(body), estimate(body), estimate(body, keys.bob)])).map(
      ({ status }) => status,
    );
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 429]);
    expect(statuses[2]).toBe(200);
  });
});
