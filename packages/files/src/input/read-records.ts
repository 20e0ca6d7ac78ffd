import { isUtf8 } from 'node:buffer';
import type { InputFormat } from './input-format.ts';
import { type InputRecord, notUtf8, tooLong } from './input-record.ts';
import { readCsv } from './read-csv.ts';
import { readJsonArray } from './read-json-array.ts';
import { splitLines, type SplitLine } from '../split-lines.ts';

const recordOfLine = (line: SplitLine, maxBytes: number): InputRecord => {
  const { number } = line;
  if (line.oversize) return { number, kind: 'problem', message: tooLong(maxBytes) };
  if (!isUtf8(line.bytes)) return { number, kind: 'problem', message: notUtf8 };
  return { number, kind: 'text', text: line.bytes.toString() };
};

async function* readLines(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<InputRecord[]> {
  for await (const lines of splitLines(source, { maxLineBytes: maxBytes }))
    yield lines.map((line) => recordOfLine(line, maxBytes));
}

/** An input that can be read as often as needed. */
export interface RecordSource {
  readonly format: InputFormat;
  /** Reads the bytes from their start. */
  readonly bytes: () => AsyncIterable<Uint8Array>;
  /** Reads the rows of a Parquet file, which is not read from start to end. */
  readonly parquet: () => AsyncIterable<InputRecord[]>;
}

const readers: Readonly<Record<InputFormat, (source: RecordSource, maxBytes: number) => AsyncIterable<InputRecord[]>>> =
  {
    text: ({ bytes }, maxBytes) => readLines(bytes(), maxBytes),
    jsonl: ({ bytes }, maxBytes) => readLines(bytes(), maxBytes),
    json: ({ bytes }, maxBytes) => readJsonArray(bytes(), { maxElementBytes: maxBytes }),
    csv: ({ bytes }, maxBytes) => readCsv(bytes(), { maxRowBytes: maxBytes }),
    tsv: ({ bytes }, maxBytes) => readCsv(bytes(), { delimiter: '\t', maxRowBytes: maxBytes }),
    parquet: ({ parquet }) => parquet(),
  };

/**
 * Reads an input from its start: lines, elements of a JSON array or rows of a table, in blocks.
 *
 * @param maxBytes a longer one is a problem.
 */
export const readRecords = (source: RecordSource, maxBytes: number): AsyncIterable<InputRecord[]> =>
  readers[source.format](source, maxBytes);
