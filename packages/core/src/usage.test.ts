import { expect, test } from 'vitest';
import { noUsage, usageOf } from './usage.ts';

const all = { inputTokens: 9, cachedTokens: 4, outputTokens: 7, reasoningTokens: 5 };

test("chat's spelling is read", () => {
  const usage = {
    prompt_tokens: 9,
    prompt_tokens_details: { cached_tokens: 4 },
    completion_tokens: 7,
    completion_tokens_details: { reasoning_tokens: 5 },
    total_tokens: 16,
  };
  expect(usageOf({ usage })).toEqual(all);
});

test("responses' spelling is read", () => {
  const usage = {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 4 },
    output_tokens: 7,
    output_tokens_details: { reasoning_tokens: 5 },
    total_tokens: 16,
  };
  expect(usageOf({ usage })).toEqual(all);
});

test('reasoning that is counted beside the completion, as in xAI’s chat, is output too', () => {
  const usage = {
    prompt_tokens: 32,
    completion_tokens: 9,
    completion_tokens_details: { reasoning_tokens: 94 },
    total_tokens: 135,
  };
  expect(usageOf({ usage })).toEqual({ ...noUsage, inputTokens: 32, outputTokens: 103, reasoningTokens: 94 });
});

test('what only the total has, as Gemini counts its thoughts, is reasoning', () => {
  const usage = { prompt_tokens: 20, completion_tokens: 198, total_tokens: 623 };
  expect(usageOf({ usage })).toEqual({ ...noUsage, inputTokens: 20, outputTokens: 603, reasoningTokens: 405 });
});

test('the tokens of images are read', () => {
  const usage = {
    input_tokens: 50,
    input_tokens_details: { text_tokens: 10, image_tokens: 40 },
    output_tokens: 1056,
    output_tokens_details: { text_tokens: 0, image_tokens: 1056 },
    total_tokens: 1106,
  };
  const images = { inputImageTokens: 40, outputImageTokens: 1056 };
  expect(usageOf({ usage })).toEqual({ ...noUsage, inputTokens: 50, outputTokens: 1056, ...images });
});

test('embeddings use input tokens only', () => {
  expect(usageOf({ usage: { prompt_tokens: 9, total_tokens: 9 } })).toEqual({ ...noUsage, inputTokens: 9 });
});

test.each([
  undefined,
  null,
  'text',
  [],
  {},
  { usage: null },
  { usage: 'many' },
  { usage: { prompt_tokens_details: null } },
])('%j counts as nothing', (body) => {
  expect(usageOf(body)).toEqual(noUsage);
});

test.each([-1, 0.5, '9', null, true, Number.NaN, Infinity, 2 ** 53])('%s tokens count as none', (tokens) => {
  expect(usageOf({ usage: { prompt_tokens: tokens, completion_tokens: 7 } })).toEqual({ ...noUsage, outputTokens: 7 });
});
