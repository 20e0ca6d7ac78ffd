import { buildLanes, buildProviders, fileConfig } from '@promptmill/core';
import { expect, it } from 'vitest';
import { overrideLanes } from './override-lanes.ts';

const config = fileConfig.parse({
  providers: { xai: { tokensPerMinute: 1000, models: { 'grok-4': { concurrency: 2 } } } },
});
const table = buildLanes(buildProviders(config, {}));

it('sets the timeout of every lane, and changes no route', () => {
  const overridden = overrideLanes(table, { timeoutMs: 7000, limits: {} });
  const { lanes } = overridden;
  expect(lanes.map(({ name }) => name)).toEqual(table.lanes.map(({ name }) => name));
  expect(new Set(lanes.map(({ provider }) => provider.timeoutMs))).toEqual(new Set([7000]));
  expect(overridden.route('xai/grok-4')).toMatchObject({
    model: 'grok-4',
    lane: { name: 'xai.grok-4', provider: { timeoutMs: 7000 } },
  });
  // Lanes of one provider share a client, which is looked up by the provider object.
  expect(lanes.filter(({ provider }) => provider === overridden.route('xai/grok-4')?.lane.provider)).toHaveLength(2);
  expect(overridden.route('nobody')).toBeUndefined();
});

it('replaces a limit in every lane, and keeps the other limits', () => {
  const requests = { count: 10, windowMs: 1000 };
  const overridden = overrideLanes(table, { limits: { concurrency: 5, requests } });
  expect(overridden.route('xai/grok-4')?.lane.limits).toEqual({ concurrency: 5, requests });
  expect(overridden.route('xai/grok-3')?.lane.limits).toEqual({ concurrency: 5, requests, tokensPerMinute: 1000 });
  expect(overridden.route('xai/grok-3')?.lane.provider.timeoutMs).toBe(120_000);
});
