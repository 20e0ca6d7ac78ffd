import type { BatchObject } from '@promptmill/core';
import { expect, it } from 'vitest';
import { allowedFor } from './actions.ts';

const allowed = (status: string, extension: object = {}, failed = 0, completed = 5): string[] => {
  const batch = {
    status,
    request_counts: { total: 10, completed, failed },
    promptmill: { paused_at: null, max_cost: null, waiting_for: [], ...extension },
  } as unknown as BatchObject;
  return Object.entries(allowedFor(batch))
    .filter(([, isAllowed]) => isAllowed)
    .map(([name]) => name);
};

it.each([
  ['a running batch', allowed('in_progress'), ['pause', 'cancel']],
  ['a paused one', allowed('in_progress', { paused_at: 1 }), ['resume', 'cancel']],
  ['one with a cost limit', allowed('in_progress', { max_cost: 1 }), ['pause', 'raiseLimit', 'cancel']],
  [
    'one that has reached it',
    allowed('in_progress', { max_cost: 1, paused_at: 1, waiting_for: [{ lane: 'cost_limit' }] }),
    ['raiseLimit', 'cancel'],
  ],
  ['one whose files are written', allowed('finalizing', {}, 1), []],
  ['a completed one without failures', allowed('completed', {}, 0, 10), []],
  ['a completed one with failures', allowed('completed', {}, 1, 9), ['retry']],
  ['a cancelled one that ran in part', allowed('cancelled'), ['retry']],
  ['a refused one', allowed('failed'), []],
])('%s', (_, found, expected) => {
  expect(found).toEqual(expected);
});
