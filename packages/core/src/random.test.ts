import { expect, it } from 'vitest';
import { createRandom } from './random.ts';

const numbers = (seed: number, count: number): number[] => Array.from({ length: count }, createRandom(seed));

it('gives the same numbers for the same seed, and others for another', () => {
  // A sample of an earlier version is chosen again.
  expect(numbers(1, 3)).toEqual([0.6270739405881613, 0.002735721180215478, 0.5274470399599522]);
  expect(numbers(2, 3)).not.toEqual(numbers(1, 3));
});

it('spreads them evenly over [0, 1)', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const number of numbers(7, 10_000)) tenths[Math.floor(number * 10)]!++;
  for (const count of tenths) expect(count).toBeGreaterThan(900);
});
