import { expect, it } from 'vitest';
import { shorten } from './shorten.ts';

it('leaves what is short', () => {
  const value = { index: 3, customId: 'a', body: { messages: [{ content: 'x'.repeat(200) }], stream: null } };
  expect(shorten(value)).toEqual(value);
});

it('cuts long texts and lists, and says by how much', () => {
  expect(shorten({ text: 'x'.repeat(250) })).toEqual({ text: `${'x'.repeat(200)}… (50 characters more)` });
  expect(shorten(Array.from({ length: 25 }, (_, i) => i))).toEqual([
    ...Array.from({ length: 20 }, (_, i) => i),
    '… (5 more)',
  ]);
});

it('stops at some depth', () => {
  const deep: Record<string, unknown> = {};
  let at = deep;
  for (let i = 0; i < 10_000; i++) at = at['in'] = {};
  expect(JSON.stringify(shorten(deep)).length).toBeLessThan(100);
});
