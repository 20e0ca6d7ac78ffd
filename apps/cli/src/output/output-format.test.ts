import { expect, it } from 'vitest';
import { outputFormatOf } from './output-format.ts';

it.each([
  ['-', 'jsonl'],
  ['/out/results', 'jsonl'],
  ['/out/a.NDJSON', 'jsonl'],
  ['a.csv', 'csv'],
  ['a.tsv', 'tsv'],
  ['a.parquet', 'parquet'],
  ['a.txt', 'text'],
  ['a.md', 'markdown'],
])('%s holds %s', (output, format) => {
  expect(outputFormatOf(output)).toBe(format);
});

it('another ending is refused, with those that are known', () => {
  expect(() => outputFormatOf('/out/a.xlsx')).toThrow(/a\.xlsx is to hold: it may end in \.jsonl, /);
});
