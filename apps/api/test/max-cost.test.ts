import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { inputFile, line, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

const configFile = `
providers:
  simulator: { models: { echo: { prices: { input: 1, output: 2 } }, free: {} } }
  vllm: { baseUrl: 'http://127.0.0.1:1/v1', models: { falls: { prices: { input: 1 }, fallback: [simulator/free] } } }
`;

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl'), configFile });
});
afterAll(() => api.close());

const ask = async (path: string, body?: object) => {
  const response = await api.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: (await response.json()) as { id: string; error?: { message: string } } };
};
const create = (body: object) => ask('/v1/batches', { model: 'simulator/echo', prompts: ['Hi'], ...body });
const capped = (maxCost: unknown) => ({ promptmill: { max_cost: maxCost } });
const error = (code: string, more: object = {}) => ({ body: { error: { code, ...more } } });

describe('max_cost', () => {
  it('is shown on the batch', async () => {
    expect(await create(capped(2.5))).toMatchObject({ status: 200, body: { promptmill: { max_cost: 2.5 } } });
    expect(await create({})).toMatchObject({ status: 200, body: { promptmill: { max_cost: null } } });
  });

  it('may be that of a file’s batch', async () => {
    const file = await api.alice.files.create({ file: await inputFile(lines(2)), purpose: 'batch' });
    const body = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', ...capped(1) };
    expect(await ask('/v1/batches', body)).toMatchObject({ status: 200, body: { promptmill: { max_cost: 1 } } });
  });

  it.each([0, -1, '5', 1e9])('is refused when it is %j', async (maxCost) => {
    expect(await create(capped(maxCost))).toMatchObject({
      status: 400,
      body: { error: { type: 'invalid_request_error' } },
    });
  });

  it.each([
    ['a model', 'simulator/free'],
    ['the fallback of a model', 'vllm/falls'],
    ['the model of one prompt', undefined],
  ])('is refused when the price of %s is not known', async (_, model) => {
    const prompts = ['Hi', ...(model === undefined ? [{ prompt: 'Hi', model: 'simulator/free' }] : [])];
    const answer = await create({ ...(model === undefined ? {} : { model }), prompts, ...capped(1) });
    expect(answer).toMatchObject({ status: 400, ...error('price_unknown', { param: 'promptmill.max_cost' }) });
    expect(answer.body.error?.message).toContain('promptmill.yaml');
    expect(answer.body.error?.message).toContain('simulator: { models: { "free": { prices:');
  });

  it('is refused for a file with such a model, which without it is taken', async () => {
    const content = line(0, { body: { model: 'simulator/free', messages: [{ role: 'user', content: 'Hi' }] } });
    const file = await api.alice.files.create({ file: await inputFile(content), purpose: 'batch' });
    const body = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
    expect(await ask('/v1/batches', { ...body, ...capped(1) })).toMatchObject({
      status: 400,
      ...error('price_unknown'),
    });
    expect(await ask('/v1/batches', body)).toMatchObject({ status: 200 });
  });

  it('can be given, raised and lowered with a resume', async () => {
    const { id } = (await create({})).body;
    for (const maxCost of [3, 5, 0.5])
      expect(await ask(`/v1/batches/${id}/resume`, { max_cost: maxCost })).toMatchObject({
        status: 200,
        body: { promptmill: { max_cost: maxCost } },
      });
    expect(await ask(`/v1/batches/${id}/resume`)).toMatchObject({
      status: 200,
      body: { promptmill: { max_cost: 0.5 } },
    });
    expect(await ask(`/v1/batches/${id}/resume`, { max_cost: 0 })).toMatchObject({ status: 400 });
  });

  it('that is reached must be raised beyond what is spent', async () => {
    const { id } = (await create(capped(1))).body;
    await api.redis.hset(api.keys.batch(id), { spentNanoUsd: 9e8, wastedNanoUsd: 1e8, costHeld: 'max_cost' });
    // The dispatcher finds that nothing is in flight which could leave money over.
    await expect
      .poll(() => ask(`/v1/batches/${id}/resume`))
      .toMatchObject({
        status: 409,
        ...error('cost_limit', {
          message: 'The batch has spent 1 of its max_cost of 1 USD. Resume it with a higher one: {"max_cost": …}.',
        }),
      });
    expect(await ask(`/v1/batches/${id}/resume`, { max_cost: 1 })).toMatchObject({
      status: 400,
      ...error('max_cost_too_low', {
        message: 'The batch has spent 1 of its max_cost of 1 USD. Give a higher one.',
        param: 'max_cost',
      }),
    });
    expect(await ask(`/v1/batches/${id}/resume`, { max_cost: 2 })).toMatchObject({
      status: 200,
      body: { promptmill: { max_cost: 2, paused_at: null, waiting_for: [] } },
    });
  });
});

it('a tenant whose costs are limited may use no model without a known price', async () => {
  api.setTenants({ alice: { usdPerMonth: 5 } });
  const refused = await create({ model: 'simulator/free' });
  expect(refused).toMatchObject({ status: 400, ...error('price_unknown', { param: null }) });
  expect(await create({})).toMatchObject({ status: 200 });
  api.setTenants({});
  expect(await create({ model: 'simulator/free' })).toMatchObject({ status: 200 });
});
