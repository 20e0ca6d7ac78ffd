import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { outputOf } from './output-place.ts';

describe('outputOf', () => {
  it.each([
    ['a/prompts.txt', undefined, resolve('a/prompts.results.jsonl')],
    ['prompts.v2.jsonl', undefined, resolve('prompts.v2.results.jsonl')],
    ['prompts', undefined, resolve('prompts.results.jsonl')],
    ['a.b/reviews.CSV', undefined, resolve('a.b/reviews.results.csv')],
    ['reviews.parquet.gz', undefined, resolve('reviews.results.parquet')],
    ['prompts.json.gz', undefined, resolve('prompts.results.jsonl')],
    ['prompts.txt', 'out.jsonl', resolve('out.jsonl')],
    ['prompts.txt', '-', '-'],
    ['-', undefined, '-'],
  ])('%s with -o %s goes to %s', (input, output, path) => {
    expect(outputOf(input, output)).toBe(path);
  });
});
