import { buildLanes, buildProviders, fileConfig } from '@promptmill/core';
import { expect, it } from 'vitest';
import { overrideTimeout } from './override-timeout.ts';

it('gives every call of every lane the timeout, and changes no way', () => {
  const config = fileConfig.parse({ providers: { xai: { models: { 'grok-4': { concurrency: 2 } } } } });
  const table = buildLanes(buildProviders(config, {}));
  const overridden = overrideTimeout(table, 7000);
  const { lanes } = overridden;
  expect(lanes.map(({ name }) => name)).toEqual(table.lanes.map(({ name }) => name));
  expect(new Set(lanes.map(({ provider }) => provider.timeoutMs))).toEqual(new Set([7000]));
  expect(overridden.route('xai/grok-4')).toMatchObject({
    model: 'grok-4',
    lane: { name: 'xai.grok-4', provider: { timeoutMs: 7000 } },
  });
  // Lanes of one provider share its client, which is found by the provider itself.
  expect(lanes.filter(({ provider }) => provider === overridden.route('xai/grok-4')?.lane.provider)).toHaveLength(2);
  expect(overridden.route('nobody')).toBeUndefined();
});
