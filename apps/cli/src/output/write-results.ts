import type { JsonObject } from '@promptmill/core';
import type { ColumnType } from '@promptmill/files';
import type { OutputFormat } from './output-format.ts';
import { readResult } from './read-result.ts';
import { type AnswerTable, type Cell, createResultTable, type ResultTable, type TableColumn } from './result-table.ts';
import { writeCsv } from './write-csv.ts';
import { writeParquet } from './write-parquet.ts';

/** What the input says of each request. */
export interface InputRows {
  readonly columns: ReadonlyMap<string, ColumnType>;
  /** For each request a line of JSON, in the order of the input. Default: only its custom_id is known. */
  readonly lines?: () => AsyncIterable<string>;
  /** Default: each answer is one cell. */
  readonly answers?: AnswerTable;
}

/** Where only a batch's id is known, its requests have no columns but their custom_id. */
export const onlyIds: InputRows = { columns: new Map([['custom_id', 'text']]) };

async function* cellsOf(lines: AsyncIterable<string>, table: ResultTable, rows: InputRows) {
  const rowLines = rows.lines?.()[Symbol.asyncIterator]();
  try {
    for await (const line of lines) {
      const result = readResult(line);
      const row = await rowLines?.next();
      if (row?.done) throw new Error(`the input's rows end before ${result.customId}`);
      yield table.cells(row ? (JSON.parse(row.value) as JsonObject) : { custom_id: result.customId }, result);
    }
  } finally {
    await rowLines?.return?.();
  }
}

/** Answers alone. A request that failed leaves its place empty. */
async function* writeAnswers(lines: AsyncIterable<string>, between: string): AsyncGenerator<string> {
  let isFirst = true;
  for await (const line of lines) {
    const { answer, error } = readResult(line);
    yield `${isFirst ? '' : between}${error === null ? (answer ?? '') : ''}\n`;
    isFirst = false;
  }
}

async function* writeLines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}

type Write = (lines: AsyncIterable<string>, rows: InputRows) => AsyncIterable<string | Uint8Array>;

const tableWriter =
  (write: (columns: readonly TableColumn[], cells: AsyncIterable<readonly Cell[]>) => ReturnType<Write>): Write =>
  (lines, rows) => {
    const table = createResultTable(rows.columns, rows.answers);
    return write(table.columns, cellsOf(lines, table, rows));
  };

const writers: Readonly<Record<OutputFormat, Write>> = {
  jsonl: writeLines,
  csv: tableWriter((columns, cells) => writeCsv(columns, cells, { delimiter: ',', formulas: 'escape' })),
  tsv: tableWriter((columns, cells) => writeCsv(columns, cells, { delimiter: '\t', formulas: 'escape' })),
  parquet: tableWriter(writeParquet),
  text: (lines) => writeAnswers(lines, ''),
  markdown: (lines) => writeAnswers(lines, '\n---\n\n'),
};

/**
 * Writes results in a format, in pieces.
 *
 * @param lines lines of the output and the error file, in the order of the input.
 */
export const writeResults = (
  lines: AsyncIterable<string>,
  format: OutputFormat,
  rows: InputRows,
): AsyncIterable<string | Uint8Array> => writers[format](lines, rows);
