import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import type { OutputFormat } from './output-format.ts';
import { type InputRows, onlyIds, writeResults } from './write-results.ts';

async function* each(items: readonly unknown[]): AsyncGenerator<string> {
  for (const item of items) yield JSON.stringify(item);
}

const answered = (id: string, content: string, more: object = {}) => ({
  custom_id: id,
  response: {
    status_code: 200,
    body: { model: 'echo', choices: [{ message: { content } }], usage: { prompt_tokens: 1, completion_tokens: 2 } },
  },
  error: null,
  ...more,
});

const failed = (id: string) => ({ custom_id: id, response: null, error: { code: 'timeout', message: 'None.' } });

const results = [
  answered('r1', 'two\nlines, "quoted"'),
  failed('r2'),
  answered('r3', '=HYPERLINK("x")', { promptmill: { cost_usd: 0.0000125 } }),
];

const inputRows: InputRows = {
  columns: new Map([
    ['text', 'text'],
    ['stars', 'integer'],
    ['answer', 'text'],
    ['ok', 'boolean'],
  ]),
  lines: () => each([{ text: '+1', stars: 5, answer: '-5.5', ok: true }, { text: '@x', stars: null }, { text: ' é;' }]),
};

const write = async (format: OutputFormat, rows = inputRows): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of writeResults(each(results), format, rows)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
};

describe('writeResults', () => {
  it('writes CSV that reads back as it was, but for what a spreadsheet would run', async () => {
    const text = (await write('csv')).toString();
    expect(parse(text)).toEqual([
      ['text', 'stars', 'answer', 'ok', 'answer_2', 'error', 'model', 'input_tokens', 'output_tokens', 'cost_usd'],
      ['+1', '5', '-5.5', 'true', 'two\nlines, "quoted"', '', 'echo', '1', '2', ''],
      ["'@x", '', '', '', '', 'timeout: None.', '', '', '', ''],
      [' é;', '', '', '', `'=HYPERLINK("x")`, '', 'echo', '1', '2', '0.0000125'],
    ]);
    expect(text).toContain('" é;"');
  });

  it('writes TSV', async () => {
    const [, row] = parse((await write('tsv')).toString(), { delimiter: '\t' });
    expect(row).toEqual(['+1', '5', '-5.5', 'true', 'two\nlines, "quoted"', '', 'echo', '1', '2', '']);
  });

  it('writes Parquet with the types of the columns', async () => {
    const bytes = await write('parquet');
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const none = { answer: null, ok: null };
    expect(await parquetReadObjects({ file })).toEqual([
      {
        text: '+1',
        stars: 5n,
        answer: '-5.5',
        ok: true,
        answer_2: 'two\nlines, "quoted"',
        error: null,
        model: 'echo',
        input_tokens: 1n,
        output_tokens: 2n,
        cost_usd: null,
      },
      {
        ...none,
        text: '@x',
        stars: null,
        answer_2: null,
        error: 'timeout: None.',
        model: null,
        input_tokens: null,
        output_tokens: null,
        cost_usd: null,
      },
      {
        ...none,
        text: ' é;',
        stars: null,
        answer_2: '=HYPERLINK("x")',
        error: null,
        model: 'echo',
        input_tokens: 1n,
        output_tokens: 2n,
        cost_usd: 0.0000125,
      },
    ]);
  });

  it('writes the answers alone; the place of one that failed is empty', async () => {
    expect((await write('text')).toString()).toBe('two\nlines, "quoted"\n\n=HYPERLINK("x")\n');
    expect((await write('markdown')).toString()).toBe('two\nlines, "quoted"\n\n---\n\n\n\n---\n\n=HYPERLINK("x")\n');
  });

  it('has the custom_id in place of columns that nobody knows', async () => {
    const [header, ...rows] = parse((await write('csv', onlyIds)).toString());
    expect(header).toEqual(['custom_id', 'answer', 'error', 'model', 'input_tokens', 'output_tokens', 'cost_usd']);
    expect(rows.map(([id]) => id)).toEqual(['r1', 'r2', 'r3']);
  });

  it('fails where there are fewer rows than results', async () => {
    await expect(write('csv', { ...inputRows, lines: () => each([{}]) })).rejects.toThrow(/rows end before r2/);
  });
});
