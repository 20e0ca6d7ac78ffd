import { expect, it } from 'vitest';
import { formatDuration, formatRate, formatShortCount, formatUsd, plural } from './format.ts';

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

it('writes rates', () => {
  expect([3.44, 1234.5].map(formatRate)).toEqual(['3.4', '1,235']);
});

it('shortens counts', () => {
  expect([999, 12_345, 2_131_846].map(formatShortCount)).toEqual(['999', '12.3K', '2.1M']);
});

it.each([
  [1234.5, '$1,234.50'],
  [0.4234, '$0.42'],
  [0.00423, '$0.0042'],
  [0, '$0.00'],
])('writes %d USD as %s', (usd, text) => {
  expect(formatUsd(usd)).toBe(text);
});
