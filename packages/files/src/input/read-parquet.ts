import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { isJsonObject, type JsonObject } from '@promptmill/core';
import {
  type AsyncBuffer,
  type Compressors,
  parquetMetadataAsync,
  parquetScan,
  parquetSchema,
  snappyUncompress,
} from 'hyparquet';
import { InputError } from './input-error.ts';
import { type InputRecord, tooLong } from './input-record.ts';

const blockRows = 1000;
/** Rows of a file may share one long text, which is in memory once until the rows leave this thread. */
const blockCharacters = 4 * 2 ** 20;

/** A page that says it is larger is not unpacked. Writers make pages of about 1 MiB. */
const maxPageBytes = 256 * 2 ** 20;

const assertSize = (bytes: number): void => {
  if (bytes > maxPageBytes) throw new Error(`a page has ${bytes} bytes`);
};

/** Unpacks no more of a page than it says it has. */
const bounded =
  (unpack: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array) =>
  (bytes: Uint8Array, outputLength: number): Uint8Array => {
    assertSize(outputLength);
    return unpack(bytes, { maxOutputLength: Math.max(outputLength, 1) });
  };

/** hyparquet knows Snappy alone; Node knows the others that are in use. */
const compressors: Compressors = {
  SNAPPY(bytes, outputLength) {
    assertSize(outputLength);
    const page = new Uint8Array(outputLength);
    snappyUncompress(bytes, page);
    return page;
  },
  GZIP: bounded(gunzipSync),
  ZSTD: bounded(zstdDecompressSync),
  BROTLI: bounded(brotliDecompressSync),
};

/** A value as JSON has it. Numbers beyond 2^53 and dates become text, so that nothing is lost. */
const toJsonValue = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as Iterable<unknown>, toJsonValue);
  if (isJsonObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toJsonValue(inner)]));
  return value ?? null;
};

/** About the characters of a value as JSON. */
const charactersOf = (value: unknown): number => {
  if (typeof value === 'string') return value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, inner) => sum + charactersOf(inner), 2);
  if (isJsonObject(value))
    return Object.entries(value).reduce((sum, [name, inner]) => sum + name.length + charactersOf(inner), 2);
  return 8;
};

export interface ReadParquetOptions {
  /** Most values in a row group: its page indexes may say that it is one page. Default: any number. */
  readonly maxGroupValues?: number;
  /** A row with more characters is a problem. Default: any number. */
  readonly maxRowCharacters?: number;
}

/**
 * Reads the rows of a Parquet file, up to a thousand at once. Of a file with page indexes it holds so many in memory, of any
 * other one row group.
 *
 * @throws InputError `input_invalid` when the file cannot be read.
 */
export async function* readParquet(
  open: () => Promise<AsyncBuffer>,
  { maxGroupValues = Infinity, maxRowCharacters = Infinity }: ReadParquetOptions = {},
): AsyncGenerator<InputRecord[], void, undefined> {
  try {
    const file = await open();
    if (file.byteLength === 0) return;
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    const hasPageIndexes = metadata.row_groups.every((group) =>
      group.columns.every((column) => column.offset_index_offset !== undefined),
    );
    const largest = Math.max(0, ...metadata.row_groups.map(({ num_rows }) => Number(num_rows))) * columns.length;
    if (largest > maxGroupValues)
      throw new Error(`a row group has ${largest} values, and may have ${maxGroupValues}: write smaller row groups`);
    const scan = await parquetScan({ file, metadata, compressors });
    for (const group of scan.ranges) {
      const step = hasPageIndexes ? blockRows : group.rowEnd - group.rowStart;
      for (let rowStart = group.rowStart; rowStart < group.rowEnd; rowStart += step) {
        const rowEnd = Math.min(rowStart + step, group.rowEnd);
        const data = await Promise.all(columns.map((column) => scan.readColumn({ column, rowStart, rowEnd })));
        let block: InputRecord[] = [];
        let characters = 0;
        for (let at = 0; at < rowEnd - rowStart; at++) {
          const values: JsonObject = Object.fromEntries(
            columns.map((column, place) => [column, toJsonValue(data[place]?.[at])]),
          );
          const number = rowStart + at + 1;
          const length = charactersOf(values);
          if (length > maxRowCharacters) block.push({ kind: 'problem', number, message: tooLong(maxRowCharacters) });
          else {
            characters += length;
            block.push({ kind: 'row', number, values });
          }
          if (block.length < blockRows && characters < blockCharacters) continue;
          yield block;
          [block, characters] = [[], 0];
        }
        if (block.length > 0) yield block;
      }
    }
  } catch (error) {
    const { message } = error as Error;
    throw new InputError('input_invalid', `cannot read this Parquet file: ${message}`, { cause: error });
  }
}
