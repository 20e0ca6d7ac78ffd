import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { type InputRecord, readRecords } from '@promptmill/files';
import { type ColumnSource, type ParquetWriteOptions, parquetWriteBuffer } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openInput, type OpenInputOptions } from '../src/input/open-input.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'promptmill-open-'));
});

afterEach(() => rm(folder, { recursive: true }));

/** Reads an input twice, as a sample does. */
const read = async (
  options: Omit<OpenInputOptions, 'scratchPath' | 'format'>,
  stdin: readonly Uint8Array[] = [],
): Promise<{ digest: string; values: unknown[] }> => {
  const records: InputRecord[] = [];
  await using opened = await openInput(
    { format: undefined, ...options, scratchPath: join(folder, 'scratch') },
    { stdin: Readable.from(stdin), signal: new AbortController().signal },
  );
  for (let pass = 0; pass < 2; pass++) {
    records.length = 0;
    for await (const block of readRecords(opened, 1000)) records.push(...block);
  }
  const valueOf = (record: InputRecord): unknown => {
    if (record.kind === 'row') return record.values;
    return record.kind === 'text' ? record.text : record.message;
  };
  return { digest: opened.digest, values: records.map(valueOf) };
};

const write = async (name: string, bytes: Uint8Array | string): Promise<string> => {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
};

const parquet = (columnData: ColumnSource[], more: Partial<ParquetWriteOptions> = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...more }));

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('openInput', () => {
  it('unpacks gzip, from a file and from standard input, and leaves nothing behind', async () => {
    const packed = gzipSync('one\ntwo\n');
    const expected = { digest: digestOf(packed), values: ['one', 'two'] };
    expect(await read({ input: await write('a.txt.gz', packed) })).toEqual(expected);
    expect(await read({ input: '-' }, [packed.subarray(0, 9), packed.subarray(9)])).toEqual(expected);
    expect(await readdir(folder)).toEqual(['a.txt.gz']);
  });

  it('knows Parquet by its content, packed and from standard input too', async () => {
    const bytes = parquet([{ name: 'text', data: ['one', 'two'] }]);
    const values = [{ text: 'one' }, { text: 'two' }];
    expect(await read({ input: await write('a.dat', bytes) })).toMatchObject({ values });
    expect(await read({ input: '-' }, [gzipSync(bytes)])).toMatchObject({ values });
    expect(await readdir(folder)).toEqual(['a.dat']);
  });
});

describe('a Parquet file', () => {
  it('gives values as JSON has them, and loses no digit', async () => {
    const columns: ColumnSource[] = [
      { name: 'id', data: [1n, 2n ** 60n] },
      { name: 'share', data: [0.5, Number.NaN] },
      { name: 'at', data: [new Date(0), null] },
      { name: 'ok', data: [true, null] },
      { name: 'more', data: [{ tags: ['a'] }, null], type: 'JSON' },
    ];
    expect((await read({ input: await write('a.parquet', parquet(columns)) })).values).toEqual([
      { id: 1, share: 0.5, at: '1970-01-01T00:00:00.000Z', ok: true, more: { tags: ['a'] } },
      { id: String(2n ** 60n), share: 'NaN', at: null, ok: null, more: null },
    ]);
  });

  it.each([
    ['GZIP', gzipSync],
    ['ZSTD', zstdCompressSync],
    ['BROTLI', brotliCompressSync],
  ] as const)('may be compressed with %s', async (codec, compress) => {
    const bytes = parquet([{ name: 'text', data: Array.from({ length: 50 }, (_, index) => `row ${index}`) }], {
      codec,
      compressors: { [codec]: (plain: Uint8Array) => new Uint8Array(compress(plain)) },
    });
    expect((await read({ input: await write('a.parquet', bytes) })).values.at(-1)).toEqual({ text: 'row 49' });
  });

  it('is read in its order, whatever its row groups and page indexes', async () => {
    const data = Array.from({ length: 5000 }, (_, index) => index);
    for (const offsetIndex of [true, false]) {
      const bytes = parquet([{ name: 'n', data, offsetIndex }], { rowGroupSize: 1700 });
      const { values } = await read({ input: await write('a.parquet', bytes) });
      expect(values).toEqual(data.map((n) => ({ n })));
    }
  });
});
