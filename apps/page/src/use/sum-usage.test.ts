import { expect, it } from 'vitest';
import type { UsageRow } from '../api/answers.ts';
import { costText, lastDays, pointsOf, sumUsage } from './sum-usage.ts';

const rowWith = (more: Partial<UsageRow> = {}): UsageRow => ({
  answers: 2,
  input_tokens: 10,
  cached_tokens: 4,
  output_tokens: 5,
  reasoning_tokens: 0,
  cost: { spent: 0.5, spent_known: 0.5, wasted: 0.1 },
  unpriced_answers: 0,
  ...more,
});
const unknown = rowWith({ cost: { spent: null, spent_known: 0, wasted: 0 }, unpriced_answers: 2 });
const partly = rowWith({ cost: { spent: null, spent_known: 0.2, wasted: 0 }, unpriced_answers: 1 });

it('sums what is known, and counts answers of unknown cost', () => {
  expect(sumUsage([rowWith(), unknown, partly])).toEqual({
    answers: 6,
    inputTokens: 30,
    cachedTokens: 12,
    outputTokens: 15,
    spent: 0.7,
    wasted: 0.1,
    unpriced: 3,
  });
});

it.each([
  [rowWith(), '$0.50'],
  [partly, '≥ $0.20'],
  [unknown, '–'],
])('says of %o that it cost %s', (row, text) => {
  expect(costText(row)).toBe(text);
});

it('a cost of which nothing is known is unknown, and not 0', () => {
  expect(sumUsage([unknown]).spent).toBeNull();
  expect(sumUsage([]).spent).toBe(0);
});

it('has a point for each day, whether something was used or not', () => {
  const days = lastDays(3, Date.parse('2026-03-01T23:59:59Z'));
  expect(days).toEqual(['2026-02-27', '2026-02-28', '2026-03-01']);
  expect(pointsOf(days, [rowWith({ day: '2026-03-01' }), { ...unknown, day: '2026-02-27' }])).toEqual([
    { day: '2026-02-27', spent: null, tokens: 15 },
    { day: '2026-02-28', spent: 0, tokens: 0 },
    { day: '2026-03-01', spent: 0.5, tokens: 15 },
  ]);
});
