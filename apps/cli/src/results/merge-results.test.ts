import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeResults, type MergeSources } from './merge-results.ts';

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

  it('puts the results of each retry in the place of what failed before', async () => {
    // How often each request fails before it is answered: 3 is never.
    const rounds = [0, 1, 2];
    const named = (id: number, round: number, from: string) => JSON.stringify({ custom_id: `r-${id}`, round, from });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }), async (failures) => {
        const ids = failures.map((_, id) => id);
        const sources = rounds.reduceRight<MergeSources | undefined>((retry, round) => {
          const asked = ids.filter((id) => failures[id]! >= round);
          return {
            input: each(asked.map((id) => line(`r-${id}`))),
            output: each(asked.filter((id) => failures[id] === round).map((id) => named(id, round, 'output'))),
            errors: each(asked.filter((id) => failures[id]! > round).map((id) => named(id, round, 'errors'))),
            retry: retry && mergeResults(retry),
          };
        }, undefined);
        const merged = sources ? await Array.fromAsync(mergeResults(sources)) : [];
        expect(merged).toEqual(
          ids.map((id) => {
            const from = failures[id] === 3 ? 'errors' : 'output';
            return { from, line: named(id, Math.min(failures[id]!, 2), from) };
          }),
        );
      }),
    );
  });
});
