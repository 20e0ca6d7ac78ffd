import { expect, it } from 'vitest';
import { mergeFailures } from './merge-failures.ts';

const group = (code: string, count: number, message = '') => ({ code, count, example: { custom_id: 'a', message } });

it('adds up what each call has counted, the most frequent first, and keeps the first example', () => {
  const merged = mergeFailures(
    [group('503', 2, 'first'), group('400', 1)],
    [group('400', 5), group('503', 1, 'later')],
  );
  expect(merged).toEqual([group('400', 6), group('503', 3, 'first')]);
});
