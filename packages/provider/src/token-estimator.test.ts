import type { RequestBody } from '@promptmill/core';
import { expect, it } from 'vitest';
import { openTokenEstimator } from './token-estimator.ts';

const ask = (content: unknown, more: Partial<RequestBody> = {}): RequestBody => ({
  model: 'm',
  messages: [{ role: 'user', content }],
  ...more,
});
const usage = (inputTokens: number, outputTokens: number) => ({
  inputTokens,
  outputTokens,
  cachedTokens: 0,
  reasoningTokens: 0,
});

it.each([
  ['all texts and room for an answer', ask('Hello world'), 3 + 256],
  ['no more than the answer may have', ask('Hello world', { max_tokens: 10 }), 3 + 10],
  ['parts of a message', ask([{ type: 'text', text: 'Hello world' }]), 4 + 256],
  [
    'no picture',
    ask([{ type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(9999)}` } }]),
    3 + 256,
  ],
  ['no answer of an embedding', { model: 'm', input: ['Hello world', 'Hello'] }, 3],
  ['a long text by its beginning', { model: 'm', input: ' word'.repeat(100_000) }, 100_000],
] as const)('counts %s', async (_, body, tokens) => {
  expect((await openTokenEstimator()).estimate(body)).toBe(tokens);
});

it('the estimate approaches what calls have used', async () => {
  const estimator = await openTokenEstimator();
  const body = ask('Hello world');
  for (let i = 0; i < 200; i++) estimator.learn(body, usage(6, 40));
  expect(estimator.estimate(body)).toBe(6 + 40);
  for (let i = 0; i < 200; i++) estimator.learn(body, usage(6, i % 2 ? 20 : 60));
  expect(estimator.estimate(body)).toBeGreaterThan(6 + 45);
  expect(estimator.estimate(body)).toBeLessThan(6 + 60);
});
