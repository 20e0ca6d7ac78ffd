import { describe, expect, test } from 'vitest';
import type { Endpoint } from './endpoints.ts';
import { questionHash } from './question.ts';

const model = 'xai/grok-4.3';
const hashOf = (body: object, url: Endpoint = '/v1/chat/completions', checkSchema = false) =>
  questionHash({ url, body: { model: 'grok-4.3', ...body } }, model, checkSchema);
const messages = [{ role: 'user', content: 'Say 1' }];
const asked = { messages, temperature: 0 };

test('the order of members and the spaces in the JSON do not matter', () => {
  const text = '{ "temperature": 0.0,\n "messages": [ {"content": "Say 1", "role": "user"} ] }';
  expect(hashOf(JSON.parse(text) as object)).toBe(hashOf(asked));
  expect(hashOf(asked)).toMatch(/^[0-9a-f]{32}$/);
});

test('the model that is called matters, not the name by which a line calls it', () => {
  expect(hashOf({ ...asked, model: 'xai/grok-4.3' })).toBe(hashOf(asked));
  const other = questionHash({ url: '/v1/chat/completions', body: { model: 'grok-4.3', ...asked } }, 'openai/gpt-5');
  expect(other).not.toBe(hashOf(asked));
});

test.each([
  { messages: [{ role: 'user', content: 'Say 2' }], temperature: 0 },
  { messages: [...messages, ...messages], temperature: 0 },
  { messages, temperature: 0, max_tokens: 5 },
  { messages, temperature: 0, stream: true },
  { messages, seed: 1 },
  { messages, seed: 2 },
  { messages, temperature: 0, user: 'a' },
  { messages, temperature: 0, ['__proto__']: 1 },
])('%j asks something else', (body) => {
  expect(hashOf(body)).toBeDefined();
  expect(hashOf(body)).not.toBe(hashOf(asked));
});

test('the order of items in an array matters', () => {
  const [a, b] = [
    { role: 'user', content: 'a' },
    { role: 'user', content: 'b' },
  ];
  expect(hashOf({ messages: [a, b], seed: 1 })).not.toBe(hashOf({ messages: [b, a], seed: 1 }));
});

test('the endpoint, and whether the answer is checked, matter', () => {
  const hashes = [hashOf(asked), hashOf(asked, '/v1/responses'), hashOf(asked, '/v1/chat/completions', true)];
  expect(new Set(hashes).size).toBe(3);
});

describe('a request that wants a call of its own has no hash', () => {
  test.each([
    { messages },
    { messages, temperature: 0.1 },
    { messages, temperature: null },
    { messages, temperature: '0' },
    { messages, seed: null },
    { messages, temperature: 0, n: 2 },
    { messages, seed: 7, n: 3 },
    { input: 'Say 1', temperature: 0, conversation: 'conv_1' },
  ])('%j', (body) => {
    expect(hashOf(body)).toBeUndefined();
  });
});

test.each([
  { temperature: 0 },
  { seed: 0 },
  { seed: 1, n: 1 },
  { temperature: 0, n: null },
  { seed: 1, temperature: 1 },
])('a request with %j has one answer', (body) => {
  expect(hashOf({ messages, ...body })).toBeDefined();
});

test('embeddings and moderations are the same each time', () => {
  expect(hashOf({ input: 'a' }, '/v1/embeddings')).toBeDefined();
  expect(hashOf({ input: 'a' }, '/v1/moderations')).toBeDefined();
  expect(hashOf({ input: 'a' }, '/v1/embeddings')).not.toBe(hashOf({ input: 'b' }, '/v1/embeddings'));
});
