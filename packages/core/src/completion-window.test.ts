import { expect, test } from 'vitest';
import { completionWindowSeconds, deadlineNearMs } from './completion-window.ts';

test.each([
  ['24h', 86_400],
  ['1m', 60],
  ['1h', 3600],
  ['60m', 3600],
  ['90m', 5400],
  ['7d', 604_800],
  ['30d', 2_592_000],
  ['720h', 2_592_000],
])('%s is %i seconds', (window, seconds) => {
  expect(completionWindowSeconds(window)).toBe(seconds);
});

test.each([
  '',
  '24',
  'h',
  '24H',
  '24 h',
  ' 24h',
  '24h\n',
  '0h',
  '0m',
  '31d',
  '721h',
  '-1d',
  '1.5h',
  '1e3m',
  '1s',
  '1w',
  '999999d',
])('%j is no window', (window) => {
  expect(completionWindowSeconds(window)).toBeUndefined();
});

test.each([
  ['a day', 86_400, 8640],
  ['an hour', 3600, 600],
  ['six minutes', 360, 60],
])(
  'the deadline of %s is near in the last tenth, or in the last 10 minutes or the last sixth if they are longer',
  (_, window, near) => {
    expect(deadlineNearMs({ createdAt: 1000, expiresAt: 1000 + window })).toBe((1000 + window - near) * 1000);
  },
);
