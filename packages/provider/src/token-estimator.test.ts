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

it('a prompt that quotes a special token is text like any other', async () => {
  expect((await openTokenEstimator()).estimate(ask('<|endoftext|>', { max_tokens: 0 }))).toBeGreaterThan(1);
});

it('a long run without a space is counted in a time that grows with its length only', async () => {
  const estimator = await openTokenEstimator();
  const startedAt = performance.now();
  estimator.estimate(ask('漢字仮名交じり文'.repeat(2500)));
  expect(performance.now() - startedAt).toBeLessThan(1000);
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
});

it('estimates as many tokens as calls use on the whole, however much they differ', async () => {
  const estimator = await openTokenEstimator();
  // The provider adds eight tokens to each text. Its answers are short and long in turn.
  const calls = Array.from({ length: 400 }, (_, i) => {
    const words = 1 + ((i * 7919) % 50);
    return { body: ask('word '.repeat(words)), used: usage(8 + words, i % 2 ? 20 : 60) };
  });
  let guessed = 0;
  let used = 0;
  for (const [i, call] of calls.entries()) {
    if (i >= 200) {
      guessed += estimator.estimate(call.body);
      used += call.used.inputTokens + call.used.outputTokens;
    }
    estimator.learn(call.body, call.used);
  }
  expect(guessed / used).toBeGreaterThan(0.98);
  expect(guessed / used).toBeLessThan(1.02);
});

it('learns nothing from an answer that does not say what it used', async () => {
  const estimator = await openTokenEstimator();
  const body = ask('Hello world');
  estimator.learn(body, usage(0, 0));
  expect(estimator.estimate(body)).toBe(3 + 256);
});
