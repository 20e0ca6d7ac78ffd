import { describe, expect, it } from 'vitest';
import { describeEstimate } from './describe-estimate.ts';
import { type InputEstimate, sumInputEstimates } from './estimate-input.ts';

const estimate: InputEstimate = {
  inputTokens: 9000,
  outputTokens: { low: 45_000, expected: 50_000, high: 55_000 },
  usd: { low: 1.08, expected: 1.2, high: 1.32 },
  unpriced: [],
};
const unknown = { low: null, expected: null, high: null };

describe('an estimate, for people', () => {
  it.each<[string, Partial<InputEstimate>, string, string]>([
    ['what is expected', {}, '9,000 in, about 50,000 out', 'about $1.20 ($1.08 to $1.32)'],
    [
      'what the requests allow, where no answer is known',
      { outputTokens: { low: 0, expected: null, high: 400 }, usd: { low: 1, expected: null, high: 2 } },
      '9,000 in, at most 400 out',
      '$1.00 to $2.00',
    ],
    [
      'requests without output',
      { outputTokens: { low: 0, expected: null, high: 0 }, usd: { low: 1, expected: null, high: 1 } },
      '9,000 in, at most 0 out',
      '$1.00',
    ],
    [
      'images to be made',
      {
        outputTokens: { low: 0, expected: null, high: null },
        usd: { low: 1, expected: null, high: null },
        makesImages: true,
      },
      '9,000 in; what the images take is known when they are there',
      'at least $1.00',
    ],
    [
      'a price that is unknown',
      { usd: unknown, unpriced: ['vllm/a', 'vllm/b'], hasImages: true },
      '9,000 in without the images, about 50,000 out',
      'unknown: nothing says what vllm/a, vllm/b costs; prices in promptmill.yaml can',
    ],
  ])('%s', (_what, changed, tokens, price) => {
    expect(describeEstimate({ ...estimate, ...changed })).toBe(`  tokens    ${tokens}\n  price     ${price}`);
  });

  it('of several inputs, of which one is unknown, is unknown', () => {
    const sum = sumInputEstimates([estimate, estimate, { ...estimate, usd: unknown, unpriced: ['vllm/a'] }]);
    expect(sum).toMatchObject({ inputTokens: 27_000, usd: unknown, unpriced: ['vllm/a'] });
    expect(sumInputEstimates([estimate, estimate]).usd.expected).toBe(2.4);
  });
});
