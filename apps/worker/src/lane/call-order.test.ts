import { expect, test } from 'vitest';
import { createCallOrder } from './call-order.ts';

const live = { isLive: true };
const batch = { isLive: false };

/** Which of the next `count` calls are live, asked for a few at a time. */
const take = (share: number, waiting: readonly { readonly isLive: boolean }[], count: number): boolean[] => {
  const order = createCallOrder(share);
  const left = [...waiting];
  const taken: boolean[] = [];
  while (taken.length < count) {
    for (const call of order.next(left, 64).slice(0, 3)) {
      order.note(call);
      left.splice(left.indexOf(call), 1);
      taken.push(call.isLive);
    }
  }
  return taken.slice(0, count);
};
const both = Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? batch : live));

test.each([0.9, 0.99, 0.7, 0.5, 0.2])('live calls take %d of the turns while both wait', (share) => {
  const count = 200;
  const taken = take(share, [...both, ...both], count);
  expect(taken[0]).toBe(true);
  const lives = taken.filter(Boolean).length;
  expect(Math.abs(lives - share * count)).toBeLessThanOrEqual(1);
});

test('live calls alone take all, and so do batch requests', () => {
  expect(
    take(
      0.9,
      Array.from({ length: 90 }, () => live),
      90,
    ),
  ).not.toContain(false);
  expect(
    take(
      0.9,
      Array.from({ length: 90 }, () => batch),
      90,
    ),
  ).not.toContain(true);
});

test('each kind is taken in the order in which it came', () => {
  const waiting = both.map(({ isLive }, i) => ({ isLive, i }));
  const next = createCallOrder(0.9).next(waiting, 64);
  for (const kind of [true, false]) {
    const places = next.filter(({ isLive }) => isLive === kind).map(({ i }) => i);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  }
});
