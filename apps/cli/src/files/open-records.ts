import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ColumnType,
  createColumns,
  type InputFormat,
  type InputRecord,
  isBlank,
  placeOf,
  readRecords,
} from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { nameOfInput, openInput } from '../input/open-input.ts';

/** A line, an element of a JSON array or a row. */
export type FileRecord = Extract<InputRecord, { kind: 'text' | 'row' }>;

/** A file of records that can be read as often as needed. */
export interface RecordFile extends AsyncDisposable {
  /** What messages call it. */
  readonly name: string;
  readonly format: InputFormat;
  /** Reads the records from the first on, without blank lines. @throws CliError `input_invalid` at a broken one. */
  readonly records: () => AsyncGenerator<FileRecord, void, undefined>;
  /** What messages call the place of a record. */
  readonly placeOf: (record: Pick<FileRecord, 'number' | 'line'>) => string;
}

/** The same as the largest line that any command sends. */
const maxRecordBytes = 2 ** 28;

/** @throws CliError `input_missing`, `input_unreadable`, `format_unknown`. */
export const openRecords = async (
  input: string,
  format: InputFormat | undefined,
  context: Pick<CliContext, 'stdin' | 'signal'>,
): Promise<RecordFile> => {
  const scratchPath = join(tmpdir(), `promptmill-${randomUUID()}`);
  const opened = await openInput({ input, format, scratchPath }, context);
  const name = nameOfInput(input);
  const place: RecordFile['placeOf'] = ({ number, line }) => placeOf(name, opened.format, number, line);

  async function* records(): AsyncGenerator<FileRecord, void, undefined> {
    for await (const block of readRecords(opened, maxRecordBytes))
      for (const record of block) {
        if (record.kind === 'problem') throw new CliError('input_invalid', `${place(record)}: ${record.message}`);
        if (!isBlank(record)) yield record;
      }
  }

  return {
    name,
    format: opened.format,
    records,
    placeOf: place,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
};

/** What one pass over files found. */
export interface FileSurvey {
  /** How many records there are. */
  readonly count: number;
  /** The columns of all rows. */
  readonly columns: ReadonlyMap<string, ColumnType>;
}

/**
 * Reads files to their ends, so that nothing is written when one of them is broken.
 *
 * @throws CliError `input_invalid`, `input_empty`.
 */
export const surveyFiles = async (
  files: readonly RecordFile[],
  check: (record: FileRecord, file: RecordFile) => void = () => {},
): Promise<FileSurvey> => {
  const columns = createColumns();
  let count = 0;
  for (const file of files)
    for await (const record of file.records()) {
      check(record, file);
      if (record.kind === 'row') columns.add(record.values);
      count++;
    }
  if (count === 0)
    throw new CliError('input_empty', `${files.map(({ name }) => name).join(', ')}: there is nothing in it`);
  return { count, columns: columns.found() };
};
