import { finished } from 'node:stream/promises';
import { CsvError, parse } from 'csv-parse';
import { plural } from '@promptmill/core/display';
import { type InputRecord, notUtf8, tooLong } from './input-record.ts';
import { validUtf8 } from './valid-utf8.ts';

export interface ReadCsvOptions {
  /** Default: whichever of `,`, `;` and tab the header has most of. */
  readonly delimiter?: string;
  /** A longer row is a problem, and ends the reading. It is never held in memory whole. */
  readonly maxRowBytes: number;
}

const maxHeaderBytes = 64 * 1024;
/** More than the parser keeps back until it knows what follows. */
const readAheadBytes = 64;

/** The delimiter of a table whose first bytes these are. What stands in quotes does not count. */
export const detectDelimiter = (head: string): string => {
  const [header = ''] = head.replaceAll(/"[^"]*("|$)/g, '').split(/[\r\n]/, 1);
  const counts = [',', ';', '\t'].map((delimiter) => ({ delimiter, count: header.split(delimiter).length }));
  return counts.reduce((best, other) => (other.count > best.count ? other : best)).delimiter;
};

/** The names of the columns. One without a name, such as the index that pandas writes, is named after its place. */
const columnNames = (header: readonly string[]): readonly string[] =>
  header.map((name, index) => name.trim() || `column_${index + 1}`);

const problemOf = (error: unknown, maxRowBytes: number): string => {
  if (!(error instanceof CsvError)) throw error;
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote opens and does not close';
  if (error.code === 'CSV_MAX_RECORD_SIZE') return `${tooLong(maxRowBytes)}, or a quote opens and does not close`;
  return error.message;
};

/** Turns the rows of a table into records. The first row names the columns. */
const createRowReader = () => {
  let columns: readonly string[] | undefined;
  let records: InputRecord[] = [];
  let number = 0;
  let line = 1;
  /** The parser counts a line break of two characters in a cell as two lines. */
  let overcounted = 0;
  const add = (
    content: { kind: 'row'; values: Record<string, unknown> } | { kind: 'problem'; message: string },
  ): void => void records.push({ number, line, ...content });

  return {
    /** @param lastLine the line on which the row ends, as the parser counts. */
    add(cells: readonly string[], lastLine: number): void {
      if (columns === undefined) {
        columns = columnNames(cells);
        const twice = columns.find((name, index) => columns?.indexOf(name) !== index);
        if (twice !== undefined) add({ kind: 'problem', message: `two columns have the name \`${twice}\`` });
      } else {
        number++;
        if (cells.length === columns.length)
          add({ kind: 'row', values: Object.fromEntries(columns.map((name, index) => [name, cells[index]])) });
        else
          add({ kind: 'problem', message: `${plural(cells.length, 'cell')}, where the header has ${columns.length}` });
      }
      for (const cell of cells) if (cell.includes('\r\n')) overcounted += cell.split('\r\n').length - 1;
      line = lastLine - overcounted + 1;
    },
    addProblem(message: string): void {
      if (columns !== undefined) number++;
      add({ kind: 'problem', message });
    },
    take(): InputRecord[] {
      const taken = records;
      records = [];
      return taken;
    },
  };
};

/** Reads a table of separated values whose first row names the columns. It yields rows in blocks, in flat memory. */
export async function* readCsv(
  source: AsyncIterable<Uint8Array>,
  { delimiter, maxRowBytes }: ReadCsvOptions,
): AsyncGenerator<InputRecord[], void, undefined> {
  const rows = createRowReader();
  const createParser = (head: Buffer) => {
    const parser = parse({
      bom: true,
      delimiter: delimiter ?? detectDelimiter(head.subarray(0, maxHeaderBytes).toString()),
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: maxRowBytes,
      // The rows are taken here, at once. Nothing comes out of the parser's other end.
      on_record: (cells: string[], { lines }) => {
        rows.add(cells, lines);
        return undefined;
      },
    });
    const ended = finished(parser.resume());
    // It is awaited below; a failure until then must not count as unhandled.
    ended.catch(() => {});
    return { parser, ended };
  };

  const chunks = validUtf8(source);
  let head = Buffer.alloc(0);
  let opened: ReturnType<typeof createParser> | undefined;
  try {
    for (;;) {
      const next = await chunks.next();
      let bytes = next.done ? Buffer.alloc(0) : next.value;
      if (!opened) {
        head = Buffer.concat([head, bytes]);
        if (!next.done && head.length < maxHeaderBytes && !head.includes('\n')) continue;
        bytes = head;
        opened = createParser(head);
      }
      const { parser, ended } = opened;
      const write = (chunk: Buffer): Promise<void> =>
        Promise.race([new Promise<void>((taken) => void parser.write(chunk, () => taken())), ended]);
      await write(bytes);
      yield rows.take();
      if (!next.done) continue;
      if (next.value) {
        parser.end();
        await ended;
      } else {
        // The parser reads some bytes ahead. The row that holds the bad bytes may have begun: it does not end here.
        await write(Buffer.alloc(readAheadBytes, 'x'));
        parser.destroy();
        rows.addProblem(notUtf8);
      }
      break;
    }
  } catch (error) {
    rows.addProblem(problemOf(error, maxRowBytes));
  } finally {
    await chunks.return(false);
  }
  yield rows.take();
}
