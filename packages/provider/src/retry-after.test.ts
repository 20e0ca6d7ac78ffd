import { expect, it } from 'vitest';
import { retryAfterMsOf } from './retry-after.ts';

const now = Date.parse('2026-11-20T10:00:00Z');

it.each<[Record<string, string>, number | undefined]>([
  [{}, undefined],
  [{ 'retry-after': '2' }, 2000],
  [{ 'retry-after': ' 1.5 ' }, 1500],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '120' }, 120_000],
  [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
  [{ 'retry-after-ms': 'soon', 'retry-after': '9' }, 9000],
  [{ 'retry-after': 'Fri, 20 Nov 2026 10:00:07 GMT' }, 7000],
  [{ 'retry-after': 'Fri, 20 Nov 2026 09:59:00 GMT' }, 0],
  [{ 'retry-after': 'Fri, 99 Nov 2026 09:59:00 GMT' }, undefined],
  [{ 'retry-after': '-5' }, undefined],
  [{ 'retry-after': 'in 3 minutes' }, undefined],
  [{ 'retry-after': 'Infinity' }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6m0s' }, 60_000],
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '120ms' }, 120],
  [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '0m30.5s' }, 30_500],
  [{ 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-reset-requests': '1s' }, undefined],
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': 'soon' }, undefined],
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1s', 'retry-after': '3' }, 3000],
  [
    {
      'anthropic-ratelimit-requests-remaining': '0',
      'anthropic-ratelimit-requests-reset': '2026-11-20T10:00:02Z',
      'anthropic-ratelimit-input-tokens-remaining': '0',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-20T10:00:05Z',
    },
    5000,
  ],
])('%j → %s ms', (headers, ms) => {
  expect(retryAfterMsOf({ get: (name) => headers[name] }, now)).toBe(ms);
});
