import { expect, it } from 'vitest';
import { applyDelta, type LiveAnswer } from './apply-delta.ts';

const piece = (custom_id: string, offset: number, delta: string, more: object = {}) => ({
  custom_id,
  index: 0,
  offset,
  delta,
  ...more,
});
const textsAfter = (...deltas: readonly ReturnType<typeof piece>[]): string[] =>
  deltas.reduce<readonly LiveAnswer[]>(applyDelta, []).map(({ customId, text }) => `${customId}: ${text}`);

it('puts pieces together, each to its request', () => {
  expect(textsAfter(piece('a', 0, 'One '), piece('b', 0, 'Uno'), piece('a', 4, 'two'))).toEqual([
    'a: One two',
    'b: Uno',
  ]);
});

it('begins again with a new attempt, and marks a piece that was lost', () => {
  expect(textsAfter(piece('a', 0, 'First try'), piece('a', 0, 'Second'))).toEqual(['a: Second']);
  expect(textsAfter(piece('a', 0, 'One'), piece('a', 6, 'three'))).toEqual(['a: One…  three']);
});

it('drops an answer that is complete, and other choices', () => {
  expect(textsAfter(piece('a', 0, 'One'), piece('a', 3, '', { done: true }))).toEqual([]);
  expect(textsAfter(piece('a', 0, 'One', { index: 1 }))).toEqual([]);
});

it('shows the latest twelve', () => {
  const many = Array.from({ length: 20 }, (_, i) => piece(`r${i}`, 0, 'x'));
  expect(textsAfter(...many)).toEqual(many.slice(8).map(({ custom_id: id }) => `${id}: x`));
});
