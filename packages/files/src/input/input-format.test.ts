import { describe, expect, it } from 'vitest';
import { detectFormat } from './input-format.ts';

describe('detectFormat', () => {
  it.each([
    ['a.txt', '[1]', 'text'],
    ['a.JSONL', '{}', 'jsonl'],
    ['a.ndjson', '{}', 'jsonl'],
    ['a.json', '\uFEFF [{}]', 'json'],
    ['a.json', '{}', 'jsonl'],
    ['a.csv', '{}', 'csv'],
    ['a.csv.gz', 'a,b', 'csv'],
    ['a.tsv', 'a', 'tsv'],
    ['a.csv', 'PAR1', 'parquet'],
    ['-', '\n {"prompt":"a"}', 'jsonl'],
    ['-', '["a"]', 'json'],
    ['v1.2/prompts', 'Say hi.', 'text'],
    ['-', '', 'text'],
  ])('%s with %j is %s', (name, head, format) => {
    expect(detectFormat(name, Buffer.from(head))).toBe(format);
  });

  it.each([
    ['a.log', 'Say hi.', /^cannot tell from its name what a\.log holds; `format` says how to read it$/],
    ['a.parquet', 'a,b', /^a\.parquet is no Parquet file; `format` says/],
    ['a.xlsx', 'PK\u0003\u0004', /^a\.xlsx is a spreadsheet or a zip archive: save the table in it as CSV$/],
  ])('%s with %j is refused', (name, head, message) => {
    expect(() => detectFormat(name, Buffer.from(head))).toThrow(message);
  });
});
