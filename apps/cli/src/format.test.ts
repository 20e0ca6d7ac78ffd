import { expect, it } from 'vitest';
import { formatDuration, plural } from './format.ts';

it.each([
  [0.4, '0 s'],
  [59.4, '59 s'],
  [250, '4 min 10 s'],
  [7500, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

it('counts things', () => {
  expect([plural(1, 'line'), plural(1200, 'line')]).toEqual(['1 line', '1,200 lines']);
});
