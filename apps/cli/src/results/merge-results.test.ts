import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeResults } from './merge-results.ts';

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

const line = (id: string): string => JSON.stringify({ custom_id: id });

const merge = async (input: string[], output: string[], errors: string[]): Promise<string[]> => {
  const merged: string[] = [];
  for await (const result of mergeResults({ input: each(input), output: each(output), errors: each(errors) }))
    merged.push(result.line);
  return merged;
};

describe('mergeResults', () => {
  it('yields one result for each request, in input order, from either file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 30 }), async (succeeded) => {
        const ids = succeeded.map((_, index) => line(`r-${index}`));
        const output = ids.filter((_, index) => succeeded[index]);
        const errors = ids.filter((_, index) => !succeeded[index]);
        expect(await merge(ids, output, errors)).toEqual(ids);
      }),
    );
  });

  it('skips blank input lines', async () => {
    expect(await merge(['', line('a'), ' '], [line('a')], [])).toEqual([line('a')]);
  });

  it('names the request that has no result', async () => {
    await expect(merge([line('a'), line('b')], [line('b')], [])).rejects.toThrow(/no result for the request a/);
  });
});
