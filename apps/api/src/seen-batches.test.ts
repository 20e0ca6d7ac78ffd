import { expect, test } from 'vitest';
import { createSeenBatches } from './seen-batches.ts';

test('forgets what was noted longest ago', () => {
  const seen = createSeenBatches<number>(2);
  seen.note('a', 1);
  seen.note('b', 2);
  seen.note('a', 3);
  seen.note('c', 4);
  expect([seen.get('a'), seen.get('b'), seen.get('c')]).toEqual([3, undefined, 4]);
  seen.forget('a');
  expect(seen.get('a')).toBeUndefined();
});
