import { expect, test } from 'vitest';
import { createCallCounter } from './call-counter.ts';

test('each name is counted by itself', () => {
  const counter = createCallCounter(10);
  expect([counter.count('a'), counter.count('b'), counter.count('a')]).toEqual([1, 1, 2]);
});

test('past its capacity it forgets the name seen longest ago', () => {
  const counter = createCallCounter(2);
  for (const name of ['a', 'b', 'a', 'c']) counter.count(name);
  expect(counter.count('a')).toBe(3);
  expect(counter.count('b')).toBe(1);
});
