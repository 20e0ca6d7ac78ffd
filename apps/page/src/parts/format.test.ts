import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatCost, formatShare, formatSpan, shortId } from './format.ts';

describe('what is shown', () => {
  it.each([
    [formatAge(2), 'just now'],
    [formatAge(59), '59 s ago'],
    [formatAge(60), '1 min ago'],
    [formatAge(7300), '2 h ago'],
    [formatAge(86_400), '1 day ago'],
    [formatAge(300_000), '3 days ago'],
    [formatSpan(42), '42 s'],
    [formatSpan(7500), '2 h 5 min'],
    [formatSpan(216_000), '2.5 days'],
    [formatCost(null), '–'],
    [formatCost(0), '$0'],
    [formatCost(0.0042), '$0.0042'],
    [formatShare(0, 10), ''],
    [formatShare(1, 10_000), '<0.1 %'],
    [formatShare(3, 1000), '0.3 %'],
    [formatShare(30, 100), '30 %'],
    [formatBytes(999), '999 bytes'],
    [formatBytes(1500), '1.5 kB'],
    [formatBytes(425_000), '425 kB'],
    [formatBytes(3.2e9), '3.2 GB'],
    [shortId('batch_0123456789abcdef0123456789abcdef'), 'batch_01234567…cdef'],
  ])('%s is %s', (text, expected) => {
    expect(text).toBe(expected);
  });
});
