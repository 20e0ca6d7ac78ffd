import { expect, it } from 'vitest';
import { spanOf } from './use-visible-span.ts';

it.each([
  ['at the top', 200, 100_000, { first: 0, end: 16 }],
  ['far below', -3_200_000, 100_000, { first: 49_994, end: 50_019 }],
  ['with few rows', 200, 3, { first: 0, end: 3 }],
  ['beyond the end', -10_000, 3, { first: 3, end: 3 }],
  ['without rows', 200, 0, { first: 0, end: 0 }],
])('%s, a screen of rows is there', (_, top, count, span) => {
  expect(spanOf(top, 64, 800, count)).toEqual(span);
});
