import { describe, expect, it } from 'vitest';
import type { InputRecord } from './input-record.ts';
import { detectDelimiter, readCsv } from './read-csv.ts';

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const read = async (text: string | Uint8Array, chunkBytes = 1000, maxRowBytes = 1000): Promise<InputRecord[]> => {
  const records: InputRecord[] = [];
  for await (const block of readCsv(chunksOf(Buffer.from(text), chunkBytes), { maxRowBytes })) records.push(...block);
  return records;
};

const rows = (records: readonly InputRecord[]): unknown[] =>
  records.map((record) => (record.kind === 'row' ? record.values : record));

describe('readCsv', () => {
  it.each([1, 2, 7, 1000])(
    'reads quotes, newlines in cells, a BOM and both line endings in chunks of %i',
    async (size) => {
      const text = '\uFEFFid,text\r\n1,"a, ""b""\nc"\r\n\n2,é😀\n3,say "hi"';
      expect(rows(await read(text, size))).toEqual([
        { id: '1', text: 'a, "b"\nc' },
        { id: '2', text: 'é😀' },
        { id: '3', text: 'say "hi"' },
      ]);
    },
  );

  it('knows the row and the line of each row', async () => {
    const places = (await read('a,b\n"x\ny",1\n2,3\n')).map(({ number, line }) => [number, line]);
    expect(places).toEqual([
      [1, 2],
      [2, 4],
    ]);
  });

  it.each(['', '\uFEFF', 'a,b\n'])('has no rows when it holds %j', async (text) => {
    expect(await read(text)).toEqual([]);
  });

  it.each([
    [
      'a row with too few cells',
      'a,b\n1,2\n3\n4,5\n',
      { number: 2, line: 3, message: '1 cell, where the header has 2' },
    ],
    ['a row with too many', 'a\n1,2\n', { number: 1, line: 2, message: '2 cells, where the header has 1' }],
    ['two columns of one name', 'a,b,a\n', { number: 0, line: 1, message: 'two columns have the name `a`' }],
    [
      'a quote that does not close',
      'a\n1\n"2\n3\n',
      { number: 2, line: 3, message: 'a quote opens and does not close' },
    ],
    [
      'a row that is too long',
      `a\n1\n${'x'.repeat(1100)}\n`,
      { number: 2, line: 3, message: expect.stringContaining('longer than 1000 bytes') as string },
    ],
  ])('names %s', async (_what, text, problem) => {
    expect((await read(text)).filter(({ kind }) => kind === 'problem')).toEqual([{ kind: 'problem', ...problem }]);
  });

  it.each([1, 3, 1000])('names the row that is not UTF-8, in chunks of %i', async (size) => {
    const bytes = Buffer.concat([Buffer.from('a\né\n😀\n'), Buffer.from([0x68, 0xe9, 0x0a]), Buffer.from('z\n')]);
    expect((await read(bytes, size)).at(-1)).toEqual({
      kind: 'problem',
      number: 3,
      line: 4,
      message: 'not UTF-8 text: save the file as UTF-8',
    });
    expect((await read(Buffer.from([0x61, 0x0a, 0xf0, 0x9f]), size)).at(-1)).toMatchObject({
      message: 'not UTF-8 text: save the file as UTF-8',
    });
  });

  it('finds the delimiter in a header that comes in pieces', async () => {
    expect(rows(await read('a;b\n1,5;2\n', 1))).toEqual([{ a: '1,5', b: '2' }]);
  });

  it('names columns without a name after their place', async () => {
    expect(rows(await read(',text\n0,hi\n'))).toEqual([{ column_1: '0', text: 'hi' }]);
  });

  it('keeps a column that is called as a property of every object is', async () => {
    const [record] = await read('__proto__,constructor\n1,2\n');
    expect(record?.kind === 'row' && Object.entries(record.values)).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ]);
  });
});

it.each([
  ['a,b;c,d', ','],
  ['a;b;c', ';'],
  ['a\tb', '\t'],
  ['"a;b;c",d', ','],
  ['only', ','],
])('the delimiter of %j is %j', (head, delimiter) => {
  expect(detectDelimiter(head)).toBe(delimiter);
});
