import { expect, test } from 'vitest';
import { fallbackJob } from './fallback-job.ts';
import { buildLanes, type Route } from './lanes.ts';
import { buildProviders, fileConfig } from './provider-config.ts';
import type { RequestJob } from './request-job.ts';

const lanes = buildLanes(buildProviders(fileConfig.parse({}), {}));
const routeOf = (model: string): Route => {
  const route = lanes.route(model);
  if (!route) throw new Error(`no route for ${model}`);
  return route;
};
const standard = routeOf('openai/gpt');
const flex = standard.lane.flex ?? standard.lane;

const request: RequestJob = {
  tenant: 'acme',
  batchId: 'batch_1',
  index: 7,
  customId: 'a',
  url: '/v1/chat/completions',
  body: { model: 'gpt', service_tier: 'flex' },
  bytes: 10,
  fallback: { models: ['openai/gpt', 'xai/grok'], deadlineNearMs: 1000, patienceMs: 50, giveUpAtMs: 2000 },
};

test('a request that steps up keeps its model, names no tier, and is patient no more', () => {
  expect(fallbackJob(request, flex, 0, standard)).toEqual({
    ...request,
    body: { model: 'gpt' },
    tierFrom: 'flex',
    fallback: { models: ['xai/grok'], deadlineNearMs: 1000 },
  });
});

test('a request that then goes to another model says both', () => {
  const stepped = fallbackJob(request, flex, 0, standard);
  const job = fallbackJob(stepped, standard.lane, 0, routeOf('xai/grok'));
  expect(job).toMatchObject({ body: { model: 'grok' }, tierFrom: 'flex', fallbackFrom: 'openai/gpt' });
  expect(job).not.toHaveProperty('fallback');
});

test('a request that goes from flex to another model leaves flex', () => {
  const job = fallbackJob(request, flex, 1, routeOf('xai/grok'));
  expect(job.body).toEqual({ model: 'grok' });
  expect(job).toMatchObject({ tierFrom: 'flex', fallbackFrom: 'openai/gpt' });
});
