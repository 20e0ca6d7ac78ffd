import { once } from 'node:events';
import { type ColumnType, formatOfName, type InputFormat, isTable, partOf } from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { cellOf } from '../output/result-table.ts';
import { writeCsv } from '../output/write-csv.ts';
import { writeParquet } from '../output/write-parquet.ts';
import { assertWritable } from '../results/output-place.ts';
import { writeFileWhole } from '../write-file-whole.ts';
import type { FileRecord } from './open-records.ts';

/** Which formats a file of each format may be written in: rows also as JSON lines, since a prompt may be made of them. */
const targets: Readonly<Record<InputFormat, readonly InputFormat[]>> = {
  text: ['text'],
  jsonl: ['jsonl', 'json'],
  json: ['json', 'jsonl'],
  csv: ['csv', 'tsv', 'parquet', 'jsonl'],
  tsv: ['tsv', 'csv', 'parquet', 'jsonl'],
  parquet: ['parquet', 'csv', 'tsv', 'jsonl'],
};

/**
 * The format in which records go to `output`.
 *
 * @throws CliError `output_unknown` when the name asks for one in which they cannot be written.
 */
export const targetFormat = (output: string, from: InputFormat): InputFormat => {
  const format = output === '-' ? from : (formatOfName(output) ?? from);
  if (targets[from].includes(format)) return format;
  throw new CliError(
    'output_unknown',
    `${output}: the ${partOf(from)}s of a ${from} file can be written as ${targets[from].join(', ')}: name it so with -o`,
  );
};

const jsonOf = (record: FileRecord): string =>
  record.kind === 'row' ? JSON.stringify(record.values) : JSON.stringify(JSON.parse(record.text));

/** A line as it stands. An element of a JSON array may have several lines, and then becomes one. */
const lineOf = (record: FileRecord): string =>
  record.kind === 'text' && !record.text.includes('\n') ? record.text : jsonOf(record);

async function* writeArray(records: AsyncIterable<FileRecord>): AsyncGenerator<string> {
  let before = '[\n';
  for await (const record of records) {
    yield before + lineOf(record);
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

async function* writeLines(records: AsyncIterable<FileRecord>): AsyncGenerator<string> {
  for await (const record of records) yield `${lineOf(record)}\n`;
}

export interface WriteRecordsOptions {
  readonly format: InputFormat;
  /** The columns of a table. */
  readonly columns: ReadonlyMap<string, ColumnType>;
}

/** Writes records in a format, in pieces. Text and cells stay as they are. */
export const recordsText = (
  records: AsyncIterable<FileRecord>,
  { format, columns }: WriteRecordsOptions,
): AsyncIterable<string | Uint8Array> => {
  if (!isTable(format)) return format === 'json' ? writeArray(records) : writeLines(records);
  const tableColumns = [...columns].map(([name, type]) => ({ name, type }));
  async function* cells() {
    for await (const record of records) {
      const values = record.kind === 'row' ? record.values : {};
      yield tableColumns.map(({ name, type }) => cellOf(Object.hasOwn(values, name) ? values[name] : null, type));
    }
  }
  if (format === 'parquet') return writeParquet(tableColumns, cells());
  return writeCsv(tableColumns, cells(), { delimiter: format === 'tsv' ? '\t' : ',', formulas: 'keep' });
};

/** Writes to a file, whole or not at all, or to standard output (`-`). */
export const writeOutput = async (
  output: string,
  chunks: AsyncIterable<string | Uint8Array>,
  { stdout, signal }: Pick<CliContext, 'stdout' | 'signal'>,
): Promise<void> => {
  if (output !== '-') {
    await assertWritable(output);
    return writeFileWhole(output, chunks, { access: 'shared' });
  }
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    if (!stdout.write(chunk)) await once(stdout, 'drain');
  }
};
