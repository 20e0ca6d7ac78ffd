import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDiskStore, type FileStore, sortLines, type SortLinesOptions } from '../src/index.ts';

let directory: string;
let files: FileStore;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'promptmill-sort-'));
  files = createDiskStore({ directory });
});
afterAll(() => rm(directory, { recursive: true }));

const kept = async (): Promise<string[]> => (await Array.fromAsync(files.list('sort/'))).map(({ key }) => key);

const sort = async (lines: AsyncIterable<readonly string[]>, options?: SortLinesOptions): Promise<string[]> =>
  (await Array.fromAsync(sortLines(files, 'sort/', lines, options))).flat();

async function* inParts(lines: readonly string[], size = 3): AsyncGenerator<readonly string[]> {
  for (let from = 0; from < lines.length; from += size) yield lines.slice(from, from + size);
}

test('any lines come out sorted, each as often as it went in, and nothing is left in the store', async () => {
  const line = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => text.trim() !== '' && !/[\r\n]/.test(text));
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 2, max: 4 }),
      async (lines, runLines, fanIn) => {
        expect(await sort(inParts(lines), { runLines, fanIn })).toEqual(lines.toSorted());
        expect(await kept()).toEqual([]);
      },
    ),
    { numRuns: 50 },
  );
});

test('few lines are sorted without the store', async () => {
  const unused = { ...files, put: () => Promise.reject(new Error('not needed')) };
  expect(await Array.fromAsync(sortLines(unused, 'sort/', inParts(['b', 'a'])))).toEqual([['a', 'b']]);
});

test('a sort that is stopped early, or whose lines fail, leaves nothing in the store', async () => {
  const lines = Array.from({ length: 50 }, (_, i) => `${(i * 7) % 50}`.padStart(2, '0'));
  for await (const [first] of sortLines(files, 'sort/', inParts(lines), { runLines: 5, fanIn: 3 })) {
    expect(first).toBe('00');
    break;
  }
  expect(await kept()).toEqual([]);
  async function* failing(): AsyncGenerator<readonly string[]> {
    yield* inParts(lines);
    throw new Error('no more');
  }
  await expect(sort(failing(), { runLines: 5 })).rejects.toThrow('no more');
  expect(await kept()).toEqual([]);
});
