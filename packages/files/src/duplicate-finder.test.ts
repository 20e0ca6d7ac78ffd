import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { startMemoryMeter } from '../../../tests/support/live-memory.ts';
import { createDuplicateFinder } from './duplicate-finder.ts';
import type { Duplicate } from './duplicate-finder.ts';

async function findDuplicates(ids: string[], options?: { maxReported?: number }) {
  const finder = createDuplicateFinder(options);
  for (const [index, id] of ids.entries()) finder.add(id, index + 1);
  let linesRead = 0;
  const duplicates = await finder.confirm(async function* () {
    for (const [index, id] of ids.entries()) {
      linesRead += 1;
      yield { id, line: index + 1 };
    }
  });
  return { duplicates, candidateCount: finder.candidateCount(), linesRead };
}

function findNaively(ids: string[]): Duplicate[] {
  return ids.flatMap((id, index) => {
    const first = ids.indexOf(id);
    return first < index ? [{ id, line: index + 1, firstLine: first + 1 }] : [];
  });
}

test('nothing is read again when there are no duplicates', async () => {
  const found = await findDuplicates(['a', 'b', 'A', '', 'a ']);
  expect(found).toEqual({ duplicates: [], candidateCount: 0, linesRead: 0 });
});

test('each duplicate is given with the line of the first occurrence', async () => {
  const { duplicates } = await findDuplicates(['a', 'b', 'a', 'c', 'a', 'b']);
  expect(duplicates).toEqual([
    { id: 'a', line: 3, firstLine: 1 },
    { id: 'a', line: 5, firstLine: 1 },
    { id: 'b', line: 6, firstLine: 2 },
  ]);
});

test('ids that only share a hash are no duplicates', async () => {
  // The hash sees every lone surrogate as the same replacement character.
  const found = await findDuplicates(['\ud800', '\ud801', 'x', 'x', '\ud801']);
  expect(found.candidateCount).toBe(3);
  expect(found.duplicates).toEqual([
    { id: 'x', line: 4, firstLine: 3 },
    { id: '\ud801', line: 5, firstLine: 2 },
  ]);
});

test('the list has a maximum, and reading stops at its last entry', async () => {
  const ids = ['a', 'b', 'b', 'a', 'a', ...Array.from({ length: 1000 }, () => 'c')];
  const found = await findDuplicates(ids, { maxReported: 2 });
  expect(found.duplicates).toEqual([
    { id: 'b', line: 3, firstLine: 2 },
    { id: 'a', line: 4, firstLine: 1 },
  ]);
  expect(found.candidateCount).toBe(1002);
  expect(found.linesRead).toBeLessThanOrEqual(5);
});

test('any ids give the same as a plain search', async () => {
  const ids = fc.array(fc.oneof(fc.string({ maxLength: 2 }), fc.integer({ max: 99, min: 0 }).map(String)));
  await fc.assert(
    fc.asyncProperty(ids, fc.integer({ min: 1, max: 9 }), async (added, maxReported) => {
      const { duplicates } = await findDuplicates(added, { maxReported });
      expect(duplicates).toEqual(findNaively(added).slice(0, maxReported));
    }),
  );
});

test('an id takes at most 20 bytes, and a duplicate takes none', () => {
  const memory = startMemoryMeter();
  const finder = createDuplicateFinder();
  const total = 300_000;
  for (let line = 1; line <= 2 * total; line += 1) finder.add(`request-${line % total}`, line);
  expect(finder.candidateCount()).toBe(total);
  memory.sample();
  expect(memory.growthBytes() / total).toBeLessThan(20);
});
