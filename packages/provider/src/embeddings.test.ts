import type { RequestBody } from '@promptmill/core';
import { expect, it } from 'vitest';
import { embeddingInputsOf, guessTokens, shareOut, splitEmbeddings } from './embeddings.ts';

const inputsOf = (input: unknown) => embeddingInputsOf({ model: 'm', input });
const known = (input: unknown) => inputsOf(input) ?? expect.fail(`no inputs: ${JSON.stringify(input)}`);
const entry = (index: number, value = index) => ({ object: 'embedding', index, embedding: [value] });
const split = (answer: RequestBody | object, inputs: readonly unknown[]) =>
  splitEmbeddings(answer as RequestBody, inputs.map(known));

it.each([
  ['é', { kind: 'texts', items: ['é'], size: 2 }],
  [['a', 'bc'], { kind: 'texts', items: ['a', 'bc'], size: 3 }],
  [[7, 8], { kind: 'tokens', items: [[7, 8]], size: 2 }],
  [[[7], [8, 9]], { kind: 'tokens', items: [[7], [8, 9]], size: 3 }],
])('the inputs of %j', (input, inputs) => {
  expect(inputsOf(input)).toEqual(inputs);
});

it.each([undefined, null, '', [], ['a', ''], ['a', 7], [[7], []], [1.5], { text: 'a' }])(
  'there are no inputs in %j, so its provider is to judge it',
  (input) => {
    expect(inputsOf(input)).toBeUndefined();
  },
);

it('tokens are counted, and guessed of texts', () => {
  expect([guessTokens(known([1, 2, 3])), guessTokens(known('four token words'))]).toEqual([3, 6]);
});

it.each([
  [10, [1, 1, 1]],
  [1000, [5, 1, 900, 2, 33]],
  [7, [100, 1, 1, 1, 1, 1, 1]],
  [3, [4, 4, 4, 4]],
  [0, [1, 2]],
])('%d tokens are shared out by size, none lost', (total, sizes) => {
  const shares = shareOut(total, sizes);
  expect(shares.reduce((sum, share) => sum + share)).toBe(total);
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(total >= sizes.length ? 1 : 0);
  const whole = sizes.reduce((sum, size) => sum + size);
  const spread = total >= sizes.length ? total - sizes.length : total;
  for (const [i, size] of sizes.entries())
    expect(Math.abs((shares[i] ?? 0) - (total - spread) / sizes.length - (spread * size) / whole)).toBeLessThanOrEqual(
      1,
    );
});

it('each request gets its own entries, numbered from 0, and its own usage', () => {
  const answer = {
    object: 'list',
    // A provider may give them in any order.
    data: [entry(2), entry(0), entry(3), entry(1)],
    model: 'embed-1',
    usage: { prompt_tokens: 8, total_tokens: 8 },
  };
  const { object, model } = answer;
  const usage = (tokens: number) => ({ prompt_tokens: tokens, total_tokens: tokens });
  expect(split(answer, ['abcd', ['ab', 'ab'], 'abcd'])).toEqual([
    { object, model, data: [entry(0)], usage: usage(3) },
    { object, model, data: [entry(0, 1), entry(1, 2)], usage: usage(2) },
    { object, model, data: [entry(0, 3)], usage: usage(3) },
  ]);
});

it('entries without numbers are in the order of their inputs', () => {
  expect(split({ data: [{ embedding: [1] }, { embedding: [2] }] }, ['a', 'b'])).toEqual([
    { data: [{ embedding: [1] }] },
    { data: [{ embedding: [2] }] },
  ]);
});

it.each([
  ['one too few', [entry(0)]],
  ['one too many', [entry(0), entry(1), entry(2)]],
  ['one twice', [entry(0), entry(0)]],
  ['a number that no input has', [entry(0), entry(5)]],
  ['something else', [entry(0), null]],
  ['no list', undefined],
])('an answer with %s answers nobody', (_, data) => {
  expect(split({ data }, ['a', 'b'])).toBeUndefined();
});
