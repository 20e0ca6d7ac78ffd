import { noUsage } from '@promptmill/core';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createSpending } from './spending.ts';

const usage = { ...noUsage, inputTokens: 3, outputTokens: 2 };

test('answers, tokens and costs add up for each tenant and model', async () => {
  const registry = new Registry();
  const spending = createSpending(registry);
  const labels = { tenant: 'ada', model: 'xai/a' };
  spending.add({ ...labels, nanoUsd: 1_500_000_000 }, usage);
  spending.add({ ...labels, nanoUsd: 500_000_000 }, undefined);
  spending.add({ ...labels, nanoUsd: undefined }, usage);
  // A second look finds the same.
  await registry.metrics();
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const all = 'tenant="ada",model="xai/a"';
  expect(lines.sort()).toEqual([
    `promptmill_answers_total{${all},kind="priced"} 2`,
    `promptmill_answers_total{${all},kind="unpriced"} 1`,
    `promptmill_spent_usd_total{${all},kind="result"} 1.5`,
    `promptmill_spent_usd_total{${all},kind="wasted"} 0.5`,
    `promptmill_tokens_total{${all},kind="input"} 6`,
    `promptmill_tokens_total{${all},kind="output"} 4`,
  ]);
});

test('made-up names do not grow the metrics without end', async () => {
  const registry = new Registry();
  const spending = createSpending(registry);
  for (let i = 0; i < 5000; i++) spending.add({ tenant: 'ada', model: `vllm/${i}`, nanoUsd: 1_000_000_000 }, usage);
  const lines = (await registry.metrics()).split('\n');
  expect(lines.length).toBeLessThan(4000);
  const other = lines.find((line) =>
    line.startsWith('promptmill_spent_usd_total{tenant="other",model="other",kind="result"'),
  );
  expect(other).toMatch(/ 4500$/);
});
