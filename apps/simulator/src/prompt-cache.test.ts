import { expect, test } from 'vitest';
import { createPromptCache } from './prompt-cache.ts';

const tokens = (count: number, text = 'abcd'): string => text.repeat(count);

test('the start of an answered prompt is known, from 1024 tokens on, in steps of 128', () => {
  const cache = createPromptCache(100);
  cache.add('m', tokens(1023) + tokens(500, 'wxyz'));
  expect(cache.find('m', tokens(1023) + tokens(500, '1234'))).toBe(0);
  cache.add('m', tokens(1200));
  expect(cache.find('m', tokens(1024))).toBe(1024);
  expect(cache.find('m', tokens(1200) + 'and more')).toBe(1152);
  expect(cache.find('m', `x${tokens(1200)}`)).toBe(0);
  expect(cache.find('other', tokens(1200))).toBe(0);
});

test('what was noted longest ago is forgotten first', () => {
  const cache = createPromptCache(2);
  for (const text of ['aaaa', 'bbbb', 'cccc']) cache.add('m', tokens(1024, text));
  expect(['aaaa', 'bbbb', 'cccc'].map((text) => cache.find('m', tokens(1024, text)))).toEqual([0, 1024, 1024]);
});
