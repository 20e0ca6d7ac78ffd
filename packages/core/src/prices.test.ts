import { expect, test } from 'vitest';
import { costOf, formatUsd, nanosToUsd, type Prices, pricesConfig, scalePrices } from './prices.ts';
import { noUsage } from './usage.ts';

const usage = { inputTokens: 1000, cachedTokens: 200, outputTokens: 100, reasoningTokens: 40 };

test.each<[what: string, prices: Prices, nanoUsd: number | undefined]>([
  ['input and output', { input: 2, output: 8 }, 2_000_000 + 800_000],
  ['cached input', { input: 2, cachedInput: 0.5, output: 8 }, 1_600_000 + 100_000 + 800_000],
  ['reasoning', { input: 2, output: 8, reasoning: 3 }, 2_000_000 + 480_000 + 120_000],
  ['a fee for each call', { input: 2, output: 8, call: 0.005 }, 2_800_000 + 5_000_000],
  ['a model that is free', { input: 0, output: 0 }, 0],
  ['no price of output', { input: 2 }, undefined],
  ['no price of input', { output: 8 }, undefined],
  ['no price at all', {}, undefined],
])('%s', (_what, prices, nanoUsd) => {
  expect(costOf(usage, prices)).toBe(nanoUsd);
});

test('an answer that does not say what it used has an unknown cost, not none', () => {
  expect(costOf(noUsage, { input: 2, output: 8 })).toBeUndefined();
});

test('embeddings need no price of output', () => {
  expect(costOf({ ...noUsage, inputTokens: 7 }, { input: 0.02 })).toBe(140);
});

test('images have prices of their own where there are some', () => {
  const images = { ...noUsage, inputTokens: 50, inputImageTokens: 40, outputTokens: 100, outputImageTokens: 100 };
  expect(costOf(images, { input: 5, output: 10, imageInput: 8, imageOutput: 32 })).toBe(
    10 * 5000 + 40 * 8000 + 100 * 32_000,
  );
  expect(costOf(images, { input: 5, output: 30 })).toBe(50 * 5000 + 100 * 30_000);
});

test('a long request pays the price of its tier for all of its tokens', () => {
  const tier = (base: number) => ({ base, tiers: [{ start: 999, price: 2 * base }] });
  const prices = { input: tier(2), output: tier(8) };
  expect(costOf({ ...noUsage, inputTokens: 999, outputTokens: 10 }, prices)).toBe(999 * 2000 + 10 * 8000);
  expect(costOf({ ...noUsage, inputTokens: 1000, outputTokens: 10 }, prices)).toBe(1000 * 4000 + 10 * 16_000);
});

test('more cached tokens than input tokens, as a provider may say, cost no less than nothing', () => {
  expect(costOf({ ...noUsage, inputTokens: 10, cachedTokens: 99 }, { input: 2, cachedInput: 1 })).toBe(10_000);
});

test('a share of the prices is a share of the cost', () => {
  const usage = { inputTokens: 2000, cachedTokens: 100, outputTokens: 50, reasoningTokens: 20 };
  const prices = { input: { base: 2, tiers: [{ start: 1000, price: 4 }] }, cachedInput: 1, output: 8, call: 0.01 };
  expect(costOf(usage, scalePrices(prices, 0.5))).toBe((costOf(usage, prices) ?? 0) / 2);
  expect(costOf(usage, scalePrices({ output: 8 }, 0.5))).toBeUndefined();
});

test('a million costs add up exactly', () => {
  const one = costOf({ ...noUsage, inputTokens: 3, outputTokens: 1 }, { input: 0.1, output: 0.3 }) ?? Number.NaN;
  let sum = 0;
  for (let i = 0; i < 1_000_000; i++) sum += one;
  expect(nanosToUsd(sum)).toBe(0.6);
});

test.each([{ input: -1 }, { output: 1 }, { input: '1' }, { input: 1, batch: 1 }, { input: Infinity }])(
  '%j is not a configuration of prices',
  (prices) => {
    expect(pricesConfig.safeParse(prices).success).toBe(false);
  },
);

test.each([
  [5_000_000_000, '5'],
  [1_234_567_000_000, '1234.57'],
  [12_500, '0.0000125'],
  [0, '0'],
])('%i billionths of a dollar are %s USD to people', (nanoUsd, text) => {
  expect(formatUsd(nanoUsd)).toBe(text);
});

test('a share of prices is a share of what a call costs, in each tier', () => {
  const tier = (base: number) => ({ base, tiers: [{ start: 999, price: 2 * base }] });
  const prices = { input: tier(2), cachedInput: 1, output: tier(8), reasoning: 4, call: 0.01 };
  expect(costOf(usage, scalePrices(prices, 0.5))).toBe((costOf(usage, prices) ?? Number.NaN) / 2);
  expect(scalePrices({ input: 2 }, 0.5)).toEqual({ input: 1 });
});
