import { expect, it } from 'vitest';
import { countRefusal, isOwnFault, refusalDelayMs } from './refusals.ts';

it('blames a request that is refused three times while its lane works for others', () => {
  const first = countRefusal(undefined, { atMs: 10, workedAtMs: 5 });
  const second = countRefusal(first, { atMs: 20, workedAtMs: 15 });
  const third = countRefusal(second, { atMs: 30, workedAtMs: 25 });
  expect([first, second, third].map(isOwnFault)).toEqual([false, false, true]);
});

it('does not blame a request while nothing shows that the lane works', () => {
  let refusals = countRefusal(undefined, { atMs: 10, workedAtMs: 5 });
  for (let atMs = 20; atMs < 1000; atMs += 10) refusals = countRefusal(refusals, { atMs, workedAtMs: 5 });
  expect(refusals).toEqual({ calls: 99, own: 1, lastAtMs: 990 });
});

it('a refused request stays away longer each time, and no longer than until the next probe', () => {
  const delays = [1, 2, 3, 4, 50].map((calls) => refusalDelayMs({ calls, own: 1, lastAtMs: 0 }, 5000));
  expect(delays).toEqual([1000, 2000, 4000, 5000, 5000]);
  expect(refusalDelayMs({ calls: 50, own: 1, lastAtMs: 0 }, 600_000)).toBe(60_000);
});
