import { expect, it } from 'vitest';
import { promptStartOf } from './prompt-start.ts';

const long = 'y'.repeat(200);
const chat = (system: string, user: string, more: object = {}) => ({
  model: 'm',
  messages: [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ],
  ...more,
});

it('requests that begin alike have the same start, however they go on', () => {
  expect(promptStartOf(chat(long, 'one'), 100)).toBe(promptStartOf(chat(long, 'another'), 100));
  expect(promptStartOf(chat(long, 'one', { max_tokens: 5 }), 100)).toBe(promptStartOf(chat(long, 'one'), 100));
  const parts = { model: 'm', messages: [{ role: 'system', content: [{ type: 'text', text: long }] }] };
  expect(promptStartOf(parts, 100)).toHaveLength(101);
});

it('what differs in the start tells them apart, tools and schemas too', () => {
  const starts = [
    chat(`a${long}`, 'one'),
    chat(`b${long}`, 'one'),
    chat(`a${long}`, 'one', { tools: [{ type: 'function', function: { name: 'mill' } }] }),
    chat(`a${long}`, 'one', { response_format: { type: 'json_object' } }),
    { model: 'm', instructions: `a${long}`, input: 'one' },
  ].map((body) => promptStartOf(body, 100));
  expect(new Set(starts).size).toBe(starts.length);
});

it('a short prompt has none', () => {
  expect(promptStartOf(chat('Be brief.', 'Hi'), 100)).toBeUndefined();
});
