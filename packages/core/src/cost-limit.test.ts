import { expect, it } from 'vitest';
import { costLimitEndsMs, formatCostLimit } from './cost-limit.ts';

const lateInDecember = Date.parse('2026-12-31T23:59:00Z');

it('a limit of a day or month ends with it, in UTC', () => {
  expect(costLimitEndsMs('usdPerDay', Date.parse('2026-02-28T00:00:00Z'))).toBe(Date.parse('2026-03-01'));
  expect(costLimitEndsMs('usdPerMonth', Date.parse('2026-02-28T00:00:00Z'))).toBe(Date.parse('2026-03-01'));
  expect(costLimitEndsMs('usdPerMonth', lateInDecember)).toBe(Date.parse('2027-01-01'));
});

it('says which limit it is, and when it is open again', () => {
  expect(formatCostLimit('usdPerDay', { usdPerDay: 2.5 }, lateInDecember)).toBe(
    'You have reached your limit usdPerDay: 2.5. It is open again from 2027-01-01 00:00 UTC, or when it is raised.',
  );
});
