import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '@promptmill/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findDifferences } from './find-differences.ts';
import type { KeyedAnswer } from './keyed-answer.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'promptmill-diff-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function* answers(numbers: readonly number[], say: (number: number) => string): AsyncGenerator<KeyedAnswer> {
  for (const number of numbers) yield { id: `id-${number}`, place: `file:${number}`, answer: say(number) };
}

it.each([1, 7, 64])('finds the same differences in the same order with %i buckets', async (buckets) => {
  const random = createRandom(3);
  const before = Array.from({ length: 500 }, (_, index) => index).filter(() => random() < 0.8);
  const after = Array.from({ length: 500 }, (_, index) => 499 - index).filter(() => random() < 0.8);
  const counts = { equal: 0, changed: 0, added: 0, removed: 0 };
  const differences = await Array.fromAsync(
    findDifferences(
      {
        before: answers(before, (number) => `old ${number}`),
        after: answers(after, (number) => (number % 3 === 0 ? 'new' : `old ${number}`)),
        folder,
        buckets,
      },
      counts,
    ),
  );
  const expected = [
    ...after.filter((number) => !before.includes(number) || number % 3 === 0),
    ...before.filter((number) => !after.includes(number)),
  ];
  expect(differences.map(({ id }) => id)).toEqual(expected.map((number) => `id-${number}`));
  expect(counts).toEqual({
    equal: after.filter((number) => before.includes(number) && number % 3 !== 0).length,
    changed: after.filter((number) => before.includes(number) && number % 3 === 0).length,
    added: after.filter((number) => !before.includes(number)).length,
    removed: before.filter((number) => !after.includes(number)).length,
  });
});
